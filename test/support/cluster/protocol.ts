import { connect, type Socket } from "node:net";
import { FieldReader, FieldWriter } from "./fields.ts";

const length_bytes = 4;

/** The error of a broker's answer that has an error code (protocol guide, "Error Codes"). */
export class BrokerError extends Error {
  constructor(
    readonly code: number,
    what: string,
  ) {
    super(`${what}: error code ${code}`);
  }
}

/** A request as the protocol guide defines it. */
export interface Request {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly write: (fields: FieldWriter) => unknown;
}

/** Connections to brokers, `host:port`, one to each, on which requests are answered in turn. */
export class ProtocolClient {
  readonly #connections = new Map<string, Promise<Connection>>();

  /** A connection whose answers do not come in time is closed. */
  constructor(private readonly answer_ms_max: number) {}

  async ask(address: string, request: Request): Promise<FieldReader> {
    const connecting = this.#connections.get(address) ?? this.#connect(address);
    const connection = await connecting;
    return connection.ask(request);
  }

  async close(): Promise<void> {
    const all = [...this.#connections.values()];
    this.#connections.clear();
    for (const connection of await Promise.allSettled(all)) if (connection.status === "fulfilled") connection.value.close();
  }

  #connect(address: string): Promise<Connection> {
    const connecting = Connection.open(address, this.answer_ms_max, () => {
      if (this.#connections.get(address) === connecting) this.#connections.delete(address);
    });
    this.#connections.set(address, connecting);
    connecting.catch(() => this.#connections.delete(address));
    return connecting;
  }
}

interface Pending {
  readonly resolve: (answer: FieldReader) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

class Connection {
  readonly #pending = new Map<number, Pending>();
  #requests = 0;
  #received = Buffer.alloc(0);

  private constructor(
    private readonly socket: Socket,
    private readonly address: string,
    private readonly answer_ms_max: number,
  ) {
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
  }

  static open(address: string, answer_ms_max: number, onClosed: () => void): Promise<Connection> {
    const colon = address.lastIndexOf(":");
    const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
    return new Promise((resolve, reject) => {
      const socket = connect(Number(address.slice(colon + 1)), host);
      const connection = new Connection(socket, address, answer_ms_max);
      const timer = setTimeout(() => socket.destroy(), answer_ms_max);
      socket.once("connect", () => {
        clearTimeout(timer);
        resolve(connection);
      });
      socket.on("error", reject);
      socket.on("close", () => {
        clearTimeout(timer);
        onClosed();
        connection.#closed();
        reject(new Error(`No connection to ${address}.`));
      });
    });
  }

  ask({ apiKey, apiVersion, write }: Request): Promise<FieldReader> {
    const id = ++this.#requests;
    const fields = new FieldWriter().int16(apiKey).int16(apiVersion).int32(id).string("test-cluster-admin");
    write(fields);
    const frame = fields.end();
    const length = Buffer.alloc(length_bytes);
    length.writeInt32BE(frame.length);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.socket.destroy(), this.answer_ms_max);
      this.#pending.set(id, { resolve, reject, timer });
      this.socket.write(Buffer.concat([length, frame]));
    });
  }

  close(): void {
    this.socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= length_bytes) {
      const end = length_bytes + this.#received.readInt32BE(0);
      if (this.#received.length < end) return;
      const frame = this.#received.subarray(length_bytes, end);
      this.#received = this.#received.subarray(end);
      const pending = this.#pending.get(frame.readInt32BE(0));
      if (!pending) continue;
      this.#pending.delete(frame.readInt32BE(0));
      clearTimeout(pending.timer);
      pending.resolve(new FieldReader(frame.subarray(4)));
    }
  }

  #closed(): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new Error(`The connection to ${this.address} was closed before the answer came.`));
    }
    this.#pending.clear();
  }
}
