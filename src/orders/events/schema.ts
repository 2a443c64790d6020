import { type TObject, Type } from "@sinclair/typebox";
import type { EventKind } from "./kinds.ts";
import { dateTimeSchema, eventIdSchema, orderIdSchema } from "./fields.ts";

/**
 * An event of this kind on the wire as JSON Schema, for the programs that read and write the topic. `decodeEvent` does not
 * use it, for speed; a property test holds the two together: what `encodeEvent` writes is valid here, and `decodeEvent`
 * takes what is valid here.
 *
 * `decodeEvent` takes more: dates without a zone (the Python predecessor's; they are UTC), with a space or `t` in place of
 * `T`, or with `z`; and amounts that only rounding brings within the bounds. And it takes less where a schema cannot say it:
 * the record's key and `order.order_id` are `order_id`; a text's length counts UTF-16 code units; EVENT_BYTES_MAX.
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
