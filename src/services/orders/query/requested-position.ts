import { AppError } from "../../../errors.ts";
import type { HttpRequest } from "../../../http/http-request.ts";
import type { Places } from "../../../http/places.ts";
import { parseLogPosition } from "../../../log/log-position.ts";
import { type OrderPartitions, waitForPosition } from "./queries.ts";

/**
 * Waits for what the request's Log-Position names, if it has one, in one of `places`. Rejects as waitForPosition
 * does, or with LOG_POSITION_INVALID or OVERLOADED.
 */
export async function waitForRequested(
  request: HttpRequest,
  partitions: OrderPartitions,
  wait_ms_max: number,
  places: Places,
): Promise<void> {
  const header = request.headers.get("log-position");
  if (header === null) return;
  const position = parseLogPosition(header);
  if (!position)
    throw new AppError("LOG_POSITION_INVALID", "The Log-Position header must be <partition>:<offset>, such as 3:1712.");
  const held = partitions.get(position.partition);
  if (held && held.nextOffset > position.offset) return;
  const leave = places.take(request.client);
  try {
    await waitForPosition(partitions, position, wait_ms_max);
  } finally {
    leave();
  }
}
