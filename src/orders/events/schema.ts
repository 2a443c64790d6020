import { type TObject, Type } from "@sinclair/typebox";
import type { EventKind } from "./kinds.ts";
import { dateTimeSchema, eventIdSchema, orderIdSchema } from "./fields.ts";

/**
 * The JSON Schema of an event of this kind on the wire, for the programs that read and write the topic. For speed,
 * `decodeEvent` does not use it; a property test checks that `decodeEvent` takes what is valid here, and that what
 * `encodeEvent` writes is valid here.
 *
 * `decodeEvent` takes more: dates without a zone (UTC, from the Python predecessor), with a space or `t` in place of
 * `T`, or with `z`; and amounts that only rounding brings within the bounds. It takes less where a schema cannot
 * express a rule: the record's key and `order.order_id` must be `order_id`; a text's length counts UTF-16 code units;
 * and the value has at most EVENT_BYTES_MAX bytes.
 */
export const eventSchema = ({ name, type, properties }: EventKind): TObject =>
  Type.Object(
    {
      event_id: eventIdSchema,
      event_type: Type.Literal(type),
      timestamp: dateTimeSchema("When it happened."),
      order_id: { ...orderIdSchema, description: "The record's key, too." },
      ...properties,
    },
    { title: name },
  );
