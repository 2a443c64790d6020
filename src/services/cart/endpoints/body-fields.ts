import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { TypeCompiler, type ValueError } from "@sinclair/typebox/compiler";
import { AppError } from "../../../errors.ts";
import { invalidField } from "../../../http/endpoint/invalid-field.ts";
import { normalizeOrderId, ORDER_ID_DIGITS_MAX } from "../../../orders/order-id.ts";

/**
 * What the commands' bodies have in common. The contract writes their fields in snake_case; a client may send each of
 * them in camelCase instead. `must` completes the sentence "<field> must …" of a 422. Fields that are not listed are
 * ignored, as the Python predecessor does.
 */

export const orderIdField = Type.String({
  pattern: `^(ORD-)?[0-9]{1,${ORDER_ID_DIGITS_MAX}}$`,
  description: "Bare digits become ORD-<digits>.",
  must: `be a string of 1 to ${ORDER_ID_DIGITS_MAX} digits, with or without ORD- before them, such as "123"`,
});

export const oneOf = <const T extends string>(values: readonly T[], description: string) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    { description, must: `be one of ${values.join(", ")}` },
  ) as unknown as ReturnType<typeof Type.Unsafe<T>>;

export type Fields = Readonly<Record<string, unknown>>;

export const requireObject = (body: unknown): Fields => {
  if (typeof body === "object" && body !== null && !Array.isArray(body)) return body as Fields;
  throw invalidField("", "The body must be a JSON object.");
};

export const either = (raw: Fields, snake: string, camel: string): unknown => {
  const a = raw[snake];
  const b = raw[camel];
  if (a === undefined) return b;
  if (b !== undefined && a !== b) throw invalidField(snake, `${snake} and ${camel} are one field; they must not differ.`);
  return a;
};

export const normalized = (orderId: string): string => {
  const id = normalizeOrderId(orderId);
  if (id === undefined) throw new AppError("INTERNAL", "The schema and normalizeOrderId disagree about an order id.");
  return id;
};

/** More errors than this would not help anybody. */
const ERRORS_MAX = 10;

/**
 * Returns a function that lets a body through if it matches the schema, and otherwise throws INVALID_FIELD with a
 * sentence for each field that does not.
 */
export const checkerOf = <T extends TSchema>(schema: T): ((body: unknown) => Static<T>) => {
  const check = TypeCompiler.Compile(schema);
  return (body) => {
    if (check.Check(body)) return body;
    throw refusal(check.Errors(body));
  };
};

const refusal = (found: Iterable<ValueError>): AppError => {
  const errors = new Map<string, string>();
  for (const { path, schema } of found) {
    const field = path
      .slice(1)
      .replace(/\/([0-9]+)(?=\/|$)/g, "[$1]")
      .replaceAll("/", ".");
    if (!errors.has(field)) errors.set(field, `${field} must ${schema.must}.`);
    if (errors.size === ERRORS_MAX) break;
  }
  return new AppError("INVALID_FIELD", [...errors.values()].join(" "), {
    errors: [...errors].map(([field, detail]) => ({ field, detail })),
  });
};
