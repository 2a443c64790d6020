import { Type } from "@sinclair/typebox";
import { isStatus, type Status, STATUSES, withStatus } from "../order.ts";
import type { ChangeKind, EventHead } from "./event-kind.ts";
import { STATUS_RULE, statusSchema } from "./fields.ts";
import { poison } from "./poison.ts";
import { type Layout, StatusLiterals } from "./scan/layout.ts";
import type { MembersScan, ScannedEvent } from "./scan/scanned-event.ts";

export interface StatusChange {
  readonly type: "ORDER_STATUS_UPDATED";
  readonly status: Status;
}

/** The change to each status, in their order. */
const CHANGES = STATUSES.map((status): StatusChange => ({ type: "ORDER_STATUS_UPDATED", status }));

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
  scan: {
    members: (layout) => new StatusUpdatedScan(layout),
    event: (head, { status }) => ({ type: "ORDER_STATUS_UPDATED", ...head, status: STATUSES[status] as Status }),
    change: ({ status }) => CHANGES[status] as StatusChange,
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

class StatusUpdatedScan implements MembersScan {
  readonly #statuses: StatusLiterals;

  constructor(layout: Layout) {
    this.#statuses = new StatusLiterals(layout, '"}');
  }

  scan(event: ScannedEvent, at: number, to: number): boolean {
    event.status = this.#statuses.find(event.view, at, to);
    return event.status >= 0;
  }
}
