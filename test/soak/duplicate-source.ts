import type { Message } from "kafkajs";
import type { Reader } from "../../src/log/port.ts";
import type { Position } from "../reference/claims.ts";

const REMEMBERED_MAX = 2_000;
const READ = { wait_ms_max: 500, partition_bytes_max: 1 };

/** Reads records that are in the topic already, so that they can be written once more. */
export class DuplicateSource {
  readonly #positions: Position[] = [];
  #isReading = false;

  constructor(private readonly reader: Reader) {}

  offer(position: Position): void {
    this.#positions[this.#positions.length < REMEMBERED_MAX ? this.#positions.length : position.offset % REMEMBERED_MAX] =
      position;
  }

  /**
   * Returns one of the records offered, for the same partition; undefined while another one is being read, or if it
   * cannot be read.
   */
  async take(random: () => number): Promise<Message | undefined> {
    const position = this.#positions[Math.floor(random() * this.#positions.length)];
    if (!position || this.#isReading) return undefined;
    this.#isReading = true;
    try {
      const { partition, offset } = position;
      const [result] = await this.reader.fetch(new Map([[partition, offset]]), READ);
      const record = result && "batch" in result ? result.batch.records[0] : undefined;
      if (record?.offset !== offset) return undefined;
      const headers = record.headers().map(([name, value]) => [name, String(Buffer.from(value ?? []))] as const);
      // Key and value are views of the batch's bytes, so they are copied.
      const copy = (bytes: Buffer | null) => bytes && Buffer.from(bytes);
      return { partition, key: copy(record.key), value: copy(record.value), headers: Object.fromEntries(headers) };
    } catch {
      return undefined;
    } finally {
      this.#isReading = false;
    }
  }

  close(): Promise<void> {
    return this.reader.close();
  }
}
