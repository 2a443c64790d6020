import { connect, type Socket } from "node:net";

/** An HTTP/1.1 connection that a test keeps open and sees break, which `fetch` would mend unseen. */
export interface RawConnection {
  /** The client's port. */
  readonly port: number;
  /** The status of the answer; undefined if the connection broke before it was there. */
  ask(head: string, body?: string): Promise<number | undefined>;
  close(): void;
}

/** Rejects if nobody accepts the connection. */
export async function rawConnection(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = await connected(Number(port), hostname);
  let received = "";
  let onAnswer: ((status: number | undefined) => void) | undefined;
  let isBroken = false;
  const answer = (status: number | undefined) => {
    onAnswer?.(status);
    onAnswer = undefined;
  };
  socket.on("data", (data) => {
    received += data.toString();
    const [, status, length] = /^HTTP\/1\.1 (\d+)[^]*?content-length: (\d+)/i.exec(received) ?? [];
    const bodyAt = received.indexOf("\r\n\r\n") + 4;
    if (status === undefined || bodyAt < 4 || received.length < bodyAt + Number(length)) return;
    received = "";
    answer(Number(status));
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    isBroken = true;
    answer(undefined);
  });
  return {
    port: socket.localPort!,
    ask: (head, body = "") => {
      if (isBroken) return Promise.resolve(undefined);
      const { promise, resolve } = Promise.withResolvers<number | undefined>();
      onAnswer = resolve;
      const length = body === "" ? "" : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
      socket.write(`${head} HTTP/1.1\r\nHost: ${hostname}\r\n${length}\r\n${body}`);
      return promise;
    },
    close: () => socket.destroy(),
  };
}

function connected(port: number, host: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host, () => {
      socket.off("error", reject);
      resolve(socket);
    });
    socket.on("error", reject);
  });
}
