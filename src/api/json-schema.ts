export type Json = Readonly<Record<string, unknown>>;

/** Schemas by name, as under a document's `components`. */
export type NamedSchemas = Record<string, Json>;

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A TypeBox schema as a document shows it. Each (sub)schema with a `title` goes to `named` and is replaced by a
 * reference, a union of literals becomes an enum, and `must`, which completes the sentence of a 422, is left out.
 */
export function documented(schema: unknown, named: NamedSchemas): Json {
  return convert(schema, named) as Json;
}

function convert(value: unknown, named: NamedSchemas): unknown {
  if (Array.isArray(value)) return value.map((element) => convert(element, named));
  if (!isJson(value)) return value;
  const literals = literalsOf(value["anyOf"]);
  const { anyOf: _, ...others } = value;
  const schema = Object.fromEntries(
    Object.entries(literals ? { type: "string", enum: literals, ...others } : value)
      // A property may have one of these names; its value is then a schema.
      .filter(([name, part]) => typeof part !== "string" || (name !== "title" && name !== "must"))
      .map(([name, part]) => [name, convert(part, named)]),
  );
  const { title } = value;
  if (typeof title !== "string") return schema;
  if (!Bun.deepEquals((named[title] ??= schema), schema)) throw new Error(`Two schemas are called ${title}.`);
  return { $ref: `#/components/schemas/${title}` };
}

function literalsOf(anyOf: unknown): readonly string[] | undefined {
  if (!Array.isArray(anyOf)) return undefined;
  const literals = anyOf.map((one: unknown) => (isJson(one) ? one["const"] : undefined));
  return literals.every((literal) => typeof literal === "string") ? literals : undefined;
}

/** The same object with camelCase names, as clients may send it. */
export function camelCased(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(camelCased);
  if (!isJson(schema)) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, part]) => {
      if (key === "title") return [key, `${String(part)}InCamelCase`];
      if (key === "required" && Array.isArray(part)) return [key, part.map((name) => camel(String(name)))];
      if (key !== "properties" || !isJson(part)) return [key, camelCased(part)];
      return [key, Object.fromEntries(Object.entries(part).map(([name, property]) => [camel(name), camelCased(property)]))];
    }),
  );
}

const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
