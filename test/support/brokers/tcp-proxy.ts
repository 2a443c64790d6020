import { connect, createServer, type Socket } from "node:net";

/** The API keys, from Kafka's protocol guide, of the requests whose loss makes a difference. */
export const apiKeys = {
  produce: 0,
  fetch: 1,
  metadata: 3,
  offsetCommit: 8,
  findCoordinator: 10,
  joinGroup: 11,
  heartbeat: 12,
  syncGroup: 14,
  initProducerId: 22,
  endTxn: 26,
} as const;

/**
 * A loopback TCP proxy in front of a Kafka broker, to do to connections what networks do. It reads only the frame of
 * the protocol: length int32; then, in a request, API key int16, version int16 and correlation id int32; in a response,
 * the correlation id.
 */
export interface TcpProxy {
  readonly port: number;
  /** How many connections that carried a request of this API have ended since the start, by whichever side. */
  endedAfter(apiKey: number): number;
  /** Lets bytes through, as at the start. */
  pass(): void;
  /** Connections stay open and new ones are accepted, but no byte goes through until `pass`. */
  pause(): void;
  /** Cuts all connections, and each new one at once, until `pass`. */
  refuse(): void;
  /** Cuts all connections; the clients may come back. */
  cut(): void;
  /** From now on, each new connection is cut once it has carried that many bytes to its client. */
  cutEachAfter(bytes_max: number): void;
  /**
   * The next request of this API does not reach the broker: its connection is cut instead. Resolves when that has
   * happened.
   */
  loseNextRequest(apiKey: number): Promise<void>;
  /**
   * The next request of this API reaches the broker, and when the broker answers, the connection is cut before the
   * answer reaches the client. Resolves when that has happened.
   */
  loseNextAnswer(apiKey: number): Promise<void>;
  /**
   * The next request of this API reaches the broker, but neither its answer nor anything after it reaches the client:
   * the connection stays open and is silent. Resolves when the broker has answered.
   */
  hangNextAnswer(apiKey: number): Promise<void>;
  close(): Promise<void>;
}

interface Trap {
  readonly apiKey: number;
  readonly lose: "request" | "answer" | "answer, silently";
  readonly sprung: () => void;
}

export async function startTcpProxy(options: { readonly listenPort: number; readonly targetPort: number }): Promise<TcpProxy> {
  let mode: "pass" | "pause" | "refuse" = "pass";
  let bytes_max = Number.POSITIVE_INFINITY;
  const traps: Trap[] = [];
  const pairs = new Set<{ readonly client: Socket; readonly broker: Socket }>();

  const ended = new Map<number, number>();
  const server = createServer((client) => {
    if (mode === "refuse") {
      client.destroy();
      return;
    }
    const broker = connect(options.targetPort, "127.0.0.1");
    const pair = { client, broker };
    pairs.add(pair);
    const asked = new Set<number>();
    const cutPair = () => {
      if (pairs.delete(pair)) for (const apiKey of asked) ended.set(apiKey, (ended.get(apiKey) ?? 0) + 1);
      client.destroy();
      broker.destroy();
    };
    for (const socket of [client, broker]) {
      socket.setNoDelay(true);
      socket.on("error", cutPair);
      socket.on("close", cutPair);
    }
    const lostAnswers = new Map<number, Trap>();

    const onRequest = (header: Buffer): Verdict => {
      const apiKey = header.readInt16BE(4);
      asked.add(apiKey);
      const at = traps.findIndex((trap) => trap.apiKey === apiKey);
      const trap = traps[at];
      if (!trap) return "forward";
      traps.splice(at, 1);
      if (trap.lose !== "request") {
        lostAnswers.set(header.readInt32BE(8), trap);
        return "forward";
      }
      cutPair();
      trap.sprung();
      return "stop";
    };
    const onResponse = (header: Buffer): Verdict => {
      const trap = lostAnswers.get(header.readInt32BE(4));
      if (!trap) return "forward";
      if (trap.lose === "answer") cutPair();
      trap.sprung();
      return "stop";
    };
    client.on("data", frameReader(request_header_bytes, onRequest, writeTo(broker, client)));
    const toClient = frameReader(response_header_bytes, onResponse, writeTo(client, broker));
    let bytes_left = bytes_max;
    broker.on("data", (chunk: Buffer) => {
      toClient(chunk.subarray(0, bytes_left));
      bytes_left -= chunk.length;
      if (bytes_left <= 0) cutPair();
    });
    if (mode === "pause") pausePair(pair);
  });

  const pausePair = ({ client, broker }: { client: Socket; broker: Socket }) => {
    client.pause();
    broker.pause();
  };
  /** Forwards bytes; a slow receiver stops the sender, so that nothing piles up here. */
  const writeTo = (to: Socket, from: Socket) => (bytes: Buffer) => {
    if (to.write(bytes)) return;
    from.pause();
    to.once("drain", () => {
      if (mode === "pass") from.resume();
    });
  };
  const cut = () => {
    for (const { client, broker } of pairs) {
      client.destroy();
      broker.destroy();
    }
    pairs.clear();
  };
  const lose = (apiKey: number, what: Trap["lose"]) =>
    new Promise<void>((sprung) => {
      traps.push({ apiKey, lose: what, sprung });
    });

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.listenPort, "127.0.0.1", resolve);
  });
  return {
    port: options.listenPort,
    endedAfter: (apiKey) => ended.get(apiKey) ?? 0,
    pass: () => {
      mode = "pass";
      for (const { client, broker } of pairs) {
        client.resume();
        broker.resume();
      }
    },
    pause: () => {
      mode = "pause";
      pairs.forEach(pausePair);
    },
    refuse: () => {
      mode = "refuse";
      cut();
    },
    cut,
    cutEachAfter: (bytes) => {
      bytes_max = bytes;
    },
    loseNextRequest: (apiKey) => lose(apiKey, "request"),
    loseNextAnswer: (apiKey) => lose(apiKey, "answer"),
    hangNextAnswer: (apiKey) => lose(apiKey, "answer, silently"),
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      await closed;
    },
  };
}

type Verdict = "forward" | "stop";

const length_bytes = 4;
const request_header_bytes = 12;
const response_header_bytes = 8;

/** Follows the frames of one direction; asks at each header whether to go on, and forwards bytes as they come. */
function frameReader(header_bytes: number, onHeader: (header: Buffer) => Verdict, forward: (bytes: Buffer) => void) {
  let header = Buffer.alloc(0);
  let body_bytes_left = 0;
  let stopped = false;
  return (chunk: Buffer) => {
    let rest = chunk;
    while (rest.length > 0 && !stopped) {
      if (body_bytes_left > 0) {
        const part = rest.subarray(0, body_bytes_left);
        body_bytes_left -= part.length;
        rest = rest.subarray(part.length);
        forward(part);
        continue;
      }
      const part = rest.subarray(0, header_bytes - header.length);
      header = Buffer.concat([header, part]);
      rest = rest.subarray(part.length);
      if (header.length < header_bytes) return;
      body_bytes_left = header.readInt32BE(0) + length_bytes - header_bytes;
      stopped = onHeader(header) === "stop";
      if (!stopped) forward(header);
      header = Buffer.alloc(0);
    }
  };
}
