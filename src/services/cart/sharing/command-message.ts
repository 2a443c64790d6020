import { Type } from "@sinclair/typebox";
import { AppError } from "../../../errors.ts";
import type { HopRequest } from "../../../fleet/hops.ts";
import { goodJson } from "../../../fleet/peer-problem.ts";
import type { PeerAnswer } from "../../../fleet/peer-transport.ts";
import type { LogPosition } from "../../../log/log-position.ts";
import type { Change } from "../../../orders/events/kinds.ts";
import { isOrderId } from "../../../orders/order-id.ts";
import type { CartCommands, CreateOrder, RequestContext } from "../commands/commands.ts";

/** A command as one cart passes it on to another, which may be told by how many partitions the first one places creates. */
export type CommandMessage = Pick<RequestContext, "idempotency" | "traceparent" | "tracestate"> & {
  readonly placedBy?: number | undefined;
} & ({ readonly create: CreateOrder } | { readonly orderId: string; readonly change: Change });

export const COMMAND_PATH = "/fleet/commands";

/** Its fields are those that the door of the other cart has checked already. */
export const commandSchema = Type.Object({}, { title: "CommandMessage" });

export const orderIdIn = (message: CommandMessage): string => ("create" in message ? message.create.orderId : message.orderId);

export const commandRequest = (message: CommandMessage, span: RequestContext["span"]): HopRequest => ({
  method: "POST",
  path: COMMAND_PATH,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(message),
  span,
});

/** Throws INVALID_FIELD if it is none that a cart sends. */
export function readCommand(json: unknown): CommandMessage {
  const message = json as Partial<CommandMessage> | null;
  const isMessage = typeof message === "object" && message !== null && ("create" in message || "change" in message);
  if (isMessage && isOrderId(orderIdIn(message as CommandMessage))) return message as CommandMessage;
  throw new AppError("INVALID_FIELD", "This is no command of another cart.");
}

export const carryOut = (commands: CartCommands, message: CommandMessage, context: RequestContext): Promise<LogPosition> =>
  "create" in message ? commands.create(message.create, context) : commands.change(message.orderId, message.change, context);

export const writePosition = ({ partition, offset }: LogPosition): string => JSON.stringify({ partition, offset });

/** Throws the problem that the answer is, or an error if it is no answer to a command. */
export function readPosition(answer: PeerAnswer): LogPosition {
  const { partition, offset } = goodJson(answer) as Partial<LogPosition>;
  if (typeof partition !== "number" || typeof offset !== "number") throw new Error("it has no position");
  return { partition, offset };
}
