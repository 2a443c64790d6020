import { Type } from "@sinclair/typebox";
import { isStatus, type Status, STATUSES, withStatus } from "../order.ts";
import type { ChangeKind, EventHead } from "./event-kind.ts";
import { STATUS_RULE, statusSchema } from "./fields.ts";
import { poison } from "./poison.ts";

export interface StatusChange {
  readonly type: "ORDER_STATUS_UPDATED";
  readonly status: Status;
}

export type OrderStatusUpdated = EventHead & StatusChange;

export const orderStatusUpdated: ChangeKind<OrderStatusUpdated, StatusChange> = {
  type: "ORDER_STATUS_UPDATED",
  name: "OrderStatusUpdated",
  summary: "An order's status changed; before its create it waits.",
  example: { status: "confirmed" },
  properties: { status: statusSchema },
  decode({ eventId, timestamp, orderId }, { status }) {
    if (!isStatus(status)) return poison("invalid_status", `status ${STATUS_RULE}`);
    return { type: "ORDER_STATUS_UPDATED", eventId, timestamp, orderId, status };
  },
  encode: ({ status }) => `"status":"${status}"`,
  show: ({ status }) => ({ status }),
  shown: {},
  words: "update to {status}",
  isCreate: false,
  change: ({ type, status }) => ({ type, status }),
  apply: (order, { status }) => withStatus(order, status),
  // The word lacks the kind's name, because rows and digests were written so before there were other kinds.
  writeWord: ({ status }) => status,
  wordSchema: Type.Unsafe<Status>({ type: "string", enum: [...STATUSES] }),
  readWord: (word) => (isStatus(word) ? { type: "ORDER_STATUS_UPDATED", status: word } : undefined),
};
