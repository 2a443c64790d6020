import * as fc from "fast-check";

type Schema = Readonly<Record<string, unknown>>;

interface Rules {
  readonly enum: readonly unknown[];
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required: readonly string[];
  readonly items: Schema;
  readonly minimum: number;
  readonly maximum: number;
  readonly format: string;
  readonly pattern: string;
  readonly minLength: number;
  readonly maxLength: number;
}

const known: Readonly<Record<string, readonly string[]>> = {
  const: ["const"],
  enum: ["enum"],
  object: ["properties", "required"],
  array: ["items", "maxItems"],
  integer: ["minimum", "maximum"],
  number: ["minimum", "maximum"],
  string: ["format", "pattern", "minLength", "maxLength"],
};

/** Dates are made from the days of a calendar: a pattern alone would allow 30 February. */
const dateTime = fc
  .tuple(
    fc.date({ min: new Date("0000-01-01"), max: new Date("9999-12-31"), noInvalidDate: true }),
    fc.constantFrom("Z", "123456Z", "+00:00", "-23:59", "+05:30"),
  )
  .map(([date, end]) => date.toISOString().replace("Z", end));

/**
 * Values that a JSON Schema allows, some with unknown fields. Only the keywords that our event schemas use are known;
 * any other is an error.
 */
export function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  const { type, description: _, title: __, ...rules } = schema as Schema & Partial<Rules>;
  const kind = "const" in rules ? "const" : "enum" in rules ? "enum" : String(type);
  const unknown = Object.keys(rules).filter((name) => !known[kind]?.includes(name));
  if (!known[kind] || unknown.length > 0) throw new Error(`valuesOf does not know ${kind} with ${unknown.join(", ")}.`);
  const { properties = {}, required = [], items = {}, minimum, maximum, format, pattern = "", minLength, maxLength } = rules;
  switch (kind) {
    case "const":
      return fc.constant(rules["const"]);
    case "enum":
      return fc.constantFrom(...(rules.enum ?? []));
    case "object": {
      const more = fc.dictionary(fc.constantFrom("note", "version", "Order_Id"), fc.jsonValue(), { maxKeys: 2 });
      const named = Object.entries(properties).map(([name, property]) => [name, valuesOf(property)] as const);
      const object = fc.record(Object.fromEntries(named), { requiredKeys: [...required] });
      return fc.tuple(more, object).map((parts) => Object.assign({}, ...parts) as unknown);
    }
    case "array":
      return fc.array(valuesOf(items), { maxLength: 5 });
    case "integer":
      return fc.oneof(fc.integer({ min: minimum!, max: maximum! }), fc.constantFrom(minimum!, maximum!));
    case "number":
      return fc.oneof(fc.double({ min: minimum!, max: maximum!, noNaN: true }), fc.constantFrom(minimum!, maximum!));
    default: {
      const matches = new RegExp(pattern, "u");
      if (format === "date-time") return dateTime.filter((text) => matches.test(text));
      if (maxLength === undefined) return fc.stringMatching(matches);
      const lengths = { minLength: minLength ?? 0, maxLength };
      // The decoder counts UTF-16 code units, of which an astral character has two.
      return fc
        .oneof(fc.string({ unit: "binary", ...lengths }), fc.string({ unit: "grapheme-ascii", ...lengths, size: "max" }))
        .filter((text) => matches.test(text) && text.length <= maxLength);
    }
  }
}
