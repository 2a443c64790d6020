import type { Random } from "../../src/system/random.ts";
import { happens, pick } from "../support/random.ts";
import { BODIES, ODD_STRINGS, ODD_NUMBERS, ODD_VALUES } from "./http-samples.ts";

export function bodyOf(random: Random): string {
  const body = happens(random, 0.7) ? pick(random, BODIES.slice(0, 5)) : pick(random, BODIES);
  return oddly(random, happens(random, 0.5) ? anotherOrder(random, body) : body, 0.4);
}

export const anotherOrder = (random: Random, body: string): string =>
  body.replace(/"(?:ORD-)?[0-9]{1,3}"/, `"${Math.floor(random() * 1e9)}"`);

/**
 * A body with odd values in place of its own, extra fields, or odd characters in front. After each change, `share` is
 * the chance of one more.
 */
export function oddly(random: Random, plain: string, share: number): string {
  let body = plain;
  for (let isFirst = true; isFirst || happens(random, share); isFirst = false) {
    const values = [...body.matchAll(/(?<=:)(?:"[^"]*"|[0-9.]+)/g)];
    const kind = random();
    if (kind < 0.7 && values.length > 0) {
      const value = pick(random, values);
      const alike = value[0].startsWith('"') ? ODD_STRINGS : ODD_NUMBERS;
      body =
        body.slice(0, value.index) +
        pick(random, happens(random, 0.7) ? alike : ODD_VALUES) +
        body.slice(value.index + value[0].length);
    } else if (kind < 0.85) {
      const name = pick(random, ["__proto__", "order_id", "customer_id", "note"]);
      body = body.replace("{", `{"${name}":${pick(random, ODD_VALUES)},`);
    } else body = pick(random, ["\ufeff", "\u000b", " ", "\u00a0"]) + body;
  }
  return body;
}

/** How a body is sent: with its length, in chunks, or with something wrong about either. */
export function framing(random: Random, body: string | undefined): { framed: Buffer; lines: string[]; isWhole: boolean } {
  if (body === undefined) {
    const lines = happens(random, 0.95)
      ? []
      : [pick(random, ["Content-Length: 0", "Content-Length: 5", "Transfer-Encoding: chunked"])];
    return { framed: Buffer.alloc(0), lines, isWhole: lines.length === 0 };
  }
  const bytes = happens(random, 0.95) ? Buffer.from(body) : damaged(random, Buffer.from(body));
  const kind = random();
  if (kind < 0.75) return { framed: bytes, lines: [`Content-Length: ${bytes.length}`], isWhole: true };
  if (kind < 0.9) {
    const chunks = [bytes.subarray(0, 5), bytes.subarray(5)].filter(({ length }) => length > 0);
    const extension = happens(random, 0.8) ? "" : pick(random, [";a=b", ";", " ", ";\u0001", "x"]);
    const framed = chunks.flatMap((chunk) => [
      Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`),
      chunk,
      Buffer.from("\r\n"),
    ]);
    const end = pick(random, [
      "0\r\n\r\n",
      "0\r\n\r\n",
      "0\r\n\r\n",
      "0\r\nTrailer: x\r\n\r\n",
      "",
      "-1\r\n",
      "fffffffffffffffff\r\n",
    ]);
    return {
      framed: Buffer.concat([...framed, Buffer.from(end)]),
      lines: ["Transfer-Encoding: chunked"],
      isWhole: end === "0\r\n\r\n" && extension === "",
    };
  }
  const lines = pick(random, [
    [`Content-Length: ${bytes.length + 10}`],
    [`Content-Length: ${Math.max(0, bytes.length - 3)}`],
    ["Content-Length: -1"],
    ["Content-Length: 99999999999999999999"],
    ["Content-Length: 1e3"],
    ["Content-Length: 3", "Content-Length: 4"],
    ["Content-Length: 3", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: x"],
    [],
  ]);
  return { framed: bytes, lines, isWhole: false };
}

/** The bytes with some of them inserted, removed or changed. */
export function damaged(random: Random, bytes: Buffer): Buffer {
  const at = Math.floor(random() * (bytes.length + 1));
  const kind = random();
  if (kind < 0.3) return bytes.subarray(0, at);
  if (kind < 0.6) return Buffer.concat([bytes.subarray(0, at), Buffer.from([Math.floor(random() * 256)]), bytes.subarray(at)]);
  return Buffer.concat([
    bytes.subarray(0, at),
    Buffer.from([Math.floor(random() * 256)]),
    bytes.subarray(at + 1 + Math.floor(random() * 4)),
  ]);
}
