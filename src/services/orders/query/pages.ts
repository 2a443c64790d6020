import { Type } from "@sinclair/typebox";
import { optionalQueryParameter, type Parameter } from "../../../http/endpoint/parameter.ts";

/** What all answers that come from the log a page at a time have in common. */

/** The parameter that says where the page begins. */
export const after = {
  description: "What the page before gave as next.",
  schema: Type.String({ must: "be what the page before gave as next" }),
  example: "3.1712",
} as const;

export const nextSchema = Type.Union([Type.String(), Type.Null()], {
  description: "What to give as after; null at the end.",
});

/** The parameter that bounds a page. */
export function limitParameter(
  limit_default: number,
  limit_max: number,
  description = "Of the page.",
  example = limit_default,
): Parameter<"limit", number> {
  const limit = optionalQueryParameter("limit", {
    description,
    schema: Type.Integer({
      minimum: 1,
      maximum: limit_max,
      default: limit_default,
      must: `be an integer from 1 to ${limit_max}`,
    }),
    example,
  });
  return { ...limit, parse: (text) => limit.parse(text) ?? limit_default };
}

export const timeSchema = Type.Union([Type.String({ format: "date-time" }), Type.String({ pattern: "^-?[0-9]{1,19}$" })], {
  description: "As the record's producer stamped it; its milliseconds where they are no date of the years 0 to 9999.",
});
