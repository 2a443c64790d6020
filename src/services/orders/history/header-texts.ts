import type { LogRecord } from "../../../log/port.ts";
import { DEAD_LETTER_HEADERS, UNDECODABLE_BATCH } from "../../../log/record-headers.ts";

const HEADER_CHARS_MAX = 512;

/** A record's headers as text, each cut to HEADER_CHARS_MAX. If a name occurs more than once, the last one counts. */
export class HeaderTexts {
  readonly #values = new Map<string, Uint8Array | null>();

  constructor(record: LogRecord) {
    for (const [name, value] of record.headers()) this.#values.set(name, value);
  }

  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return value ? Buffer.from(value).toString().slice(0, HEADER_CHARS_MAX) : undefined;
  }

  /** The header's value as a number; undefined if it is not a non-negative integer. */
  count(name: string): number | undefined {
    const text = this.text(name) ?? "";
    return /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
  }
}

/** The code that says why a record is in the dead-letter topic. */
export const letterReason = ({ undecodable }: LogRecord, headers: HeaderTexts): string =>
  undecodable ? UNDECODABLE_BATCH : (headers.text(DEAD_LETTER_HEADERS.reason) ?? "unknown");
