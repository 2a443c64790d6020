import { parseLogPosition } from "../../../http/headers.ts";
import type { HttpRequest } from "../../../http/http-request.ts";
import type { Permits } from "../../../http/permits.ts";
import { type OrderPartitions, waitForPosition } from "./queries.ts";

/** Waits for what the request's Log-Position names, if it has one, with one of `permits`. Rejects as waitForPosition does, or with OVERLOADED. */
export async function waitForRequested(
  request: HttpRequest,
  partitions: OrderPartitions,
  wait_ms_max: number,
  permits: Permits,
): Promise<void> {
  const header = request.headers.get("log-position");
  if (header === null) return;
  const position = parseLogPosition(header);
  const held = partitions.get(position.partition);
  if (held && held.nextOffset > position.offset) return;
  const release = permits.acquire(request.client);
  try {
    await waitForPosition(partitions, position, wait_ms_max);
  } finally {
    release();
  }
}
