import type { LogRecord } from "../../src/log/port.ts";
import { DEAD_LETTER_HEADERS } from "../../src/log/record-headers.ts";

/** The value of a letter that claims to be one of ours and is not. */
export const FORGED = "FORGED";

/** The record of which a dead letter says that it is a copy, as `partition:offset`; undefined for no letter of ours. */
export function originOf(letter: Pick<LogRecord, "value" | "headers"> | null): string | undefined {
  if (!letter || String(letter.value) === FORGED) return undefined;
  const headers = new Map(letter.headers().map(([name, value]) => [name, String(value)]));
  return `${headers.get(DEAD_LETTER_HEADERS.partition)}:${headers.get(DEAD_LETTER_HEADERS.offset)}`;
}
