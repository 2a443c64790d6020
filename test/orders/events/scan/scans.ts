import { EventScanner, toEvent } from "../../../../src/orders/events/scan/scanner.ts";
import type { OrderEvent } from "../../../../src/orders/events/kinds.ts";

export const scanner = new EventScanner();

/** Scans key and value where they lie between others, as in a batch; undefined where the scan does not take them. */
export function scanned(
  key: string | Buffer | null,
  value: string | Buffer,
  [before, between, after]: readonly [string, string, string] = ["", "", ""],
): OrderEvent | undefined {
  const parts = [before, key ?? "", between, value, after].map((part) => Buffer.from(part as string));
  const lengthOf = (count: number) => Buffer.concat(parts.slice(0, count)).length;
  const isTaken = scanner.scan(Buffer.concat(parts), lengthOf(1), lengthOf(2), lengthOf(3), lengthOf(4));
  return isTaken ? toEvent(scanner.event) : undefined;
}
