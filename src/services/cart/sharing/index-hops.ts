import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../../errors.ts";
import type { Fleet } from "../../../fleet/fleet.ts";
import { hopEndpoint, partitionsParameter } from "../../../fleet/hop-endpoint.ts";
import type { Endpoint } from "../../../http/endpoint/endpoint.ts";
import { jsonAnswer } from "../../../http/endpoint/json-answer.ts";
import { optionalQueryParameter, pathParameter } from "../../../http/endpoint/parameter.ts";
import { isOrderId } from "../../../orders/order-id.ts";
import type { Clock } from "../../../system/clock.ts";
import type { Logger } from "../../../telemetry/logger.ts";
import type { CartCommands } from "../commands/commands.ts";
import { carryOut, COMMAND_PATH, commandSchema, readCommand, writePosition } from "./command-message.ts";
import type { ReadUpTo } from "./coverage.ts";
import { type FoundInIndex, INDEX_QUESTION_PATH, type IndexQuestion, writeToldIndex } from "./index-question.ts";

/** What a cart tells its peers. */
export interface SharedWithPeers {
  /** The commands on the indexes that are held here. */
  readonly commands: CartCommands;
  /** See `Placement.hear`. */
  readonly hearPlacing: (partitionCount: number) => void;
  /** What the index of a partition has, once it was read as far as `from`. Rejects with why it is not told. */
  find(question: IndexQuestion, partition: number, from: ReadUpTo, deadline_ms: number): Promise<FoundInIndex>;
}

export interface IndexHopsOptions {
  readonly fleet: Fleet;
  readonly shared: SharedWithPeers;
  readonly body_bytes_max: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** As the checked command, with an idempotency key, a fingerprint and trace headers. */
const MESSAGE_BYTES_MORE = 16_384;

const numbers = (name: string, description: string) =>
  optionalQueryParameter(name, {
    description,
    schema: Type.String({ pattern: "^[0-9]{1,16}(,[0-9]{1,16})*$", must: "be numbers, separated by commas" }),
    example: "0,3",
    decode: (list) => list.split(",").map(Number),
  });

/** The endpoints by which carts that share the index ask each other. */
export const indexHops = ({ fleet, shared, body_bytes_max, clock, logger }: IndexHopsOptions): Endpoint[] => [
  hopEndpoint(fleet, {
    method: "POST",
    path: COMMAND_PATH,
    parameters: [],
    body: {
      schema: commandSchema,
      examples: {},
      // Written out, a command may be longer than as the client spelled it.
      body_bytes_max: 2 * body_bytes_max + MESSAGE_BYTES_MORE,
      parse: readCommand,
    },
    handle: async ({ span }, _, deadline_ms, message) => {
      const { idempotency, traceparent, tracestate, placedBy } = message;
      if (placedBy !== undefined) shared.hearPlacing(placedBy);
      const traced = span
        ? { span }
        : { ...(traceparent !== undefined && { traceparent }), ...(tracestate !== undefined && { tracestate }) };
      const context = { ...traced, ...(idempotency && { idempotency }), wait_ms_max: deadline_ms - clock.now_ms() };
      return jsonAnswer(writePosition(await carryOut(shared.commands, message, context).catch(toldBy(logger))));
    },
  }),
  hopEndpoint(fleet, {
    method: "GET",
    path: `${INDEX_QUESTION_PATH}/:orderId`,
    parameters: [
      pathParameter("orderId", {
        description: "The order.",
        schema: Type.String({ pattern: "^ORD-[0-9]+$", must: "be an order id" }),
        example: "ORD-1",
      }),
      partitionsParameter,
      numbers("from", "How far each of the partitions must have been read."),
      numbers("epochs", "Of which leader each of them must have been read as far as that, or to the end of a later one."),
      numbers("ends", "Those of the partitions that must be read to the log's end."),
      optionalQueryParameter("event", {
        description: "The event id of an idempotency key.",
        schema: Type.String(),
        example: "e",
      }),
    ],
    handle: async (_, { orderId, partitions, from = [], epochs = [], ends = [], event }, deadline_ms) => {
      if (!isOrderId(orderId)) throw new AppError("INVALID_FIELD", `${orderId} is no order id.`);
      const question = { orderId, eventId: event, toEnd: ends };
      const told = await Promise.all(
        partitions.map((partition, n) => {
          // A cart of an earlier version does not say which leader's records it must have.
          const upTo = { offset: from[n] ?? 0, leaderEpoch: epochs[n] ?? Number.MAX_SAFE_INTEGER };
          return shared.find(question, partition, upTo, deadline_ms).catch(appErrorOf);
        }),
      );
      return jsonAnswer(writeToldIndex(new Map(partitions.map((partition, n) => [partition, told[n] as (typeof told)[number]]))));
    },
  }),
];

/** Anything but an AppError is a defect. */
const appErrorOf = (e: unknown): AppError => {
  if (isAppError(e)) return e;
  throw e;
};

/**
 * A store that fails keeps a command from being appended. A 500, which tells no cause, would leave the asker unsure of
 * that.
 */
const toldBy =
  (logger: Logger) =>
  (e: unknown): never => {
    if (!isAppError(e, "STORE_FAILED")) throw e;
    logger.error({ err: e }, "a command of another cart failed");
    throw new AppError("PARTITION_BLOCKED", e.message, e.extra, e);
  };
