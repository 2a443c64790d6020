import type { Static, TInteger, TString } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import type { AppError } from "../../errors.ts";
import { invalidField } from "./invalid-field.ts";

/**
 * How the documents describe a parameter, and the schema that its text is checked by. `must` completes the sentence
 * "<name> must …." of a 422.
 */
interface Described<Schema extends TString | TInteger = TString | TInteger> {
  readonly description: string;
  readonly schema: Schema;
  readonly example: string | number;
}

/**
 * A value in a request's path, query or headers: how the documents describe it, and how its text becomes the value.
 */
export interface Parameter<Name extends string = string, Value = unknown> extends Described {
  readonly name: Name;
  readonly in: "path" | "query" | "header";
  readonly isRequired: boolean;
  /** `text` is undefined if the request does not have the parameter. Throws the error that refuses the request. */
  readonly parse: (text: string | undefined) => Value;
}

/** The values by the parameters' names. */
export type ValuesOf<Parameters extends readonly Parameter[]> = {
  readonly [One in Parameters[number] as One["name"]]: ReturnType<One["parse"]>;
};

interface Options<Schema extends TString | TInteger, Value> extends Described<Schema> {
  /** Turns the checked value into what the handler gets; undefined refuses it. */
  readonly decode?: (value: Static<Schema>) => Value | undefined;
  /** The error to throw instead of INVALID_FIELD with the schema's `must`. */
  readonly refusal?: () => AppError;
}

/** The error for a value that the schema accepts and that the handler finds to be wrong. */
export const invalidParameter = (name: string, schema: TString | TInteger): AppError =>
  invalidField(name, `${name} must ${schema.must}.`);

/**
 * How many digits an integer may have, leading zeros included; more are allowed only if the schema's maximum has more.
 */
const INTEGER_DIGITS = 4;

const integerText = ({ maximum = Number.MAX_SAFE_INTEGER }: TInteger): RegExp =>
  new RegExp(`^[0-9]{1,${Math.max(INTEGER_DIGITS, String(maximum).length)}}$`);

function parsed<Name extends string, Schema extends TString | TInteger, Value>(
  name: Name,
  { description, schema, example, decode, refusal = () => invalidParameter(name, schema) }: Options<Schema, Value>,
) {
  const check = TypeCompiler.Compile(schema);
  const number = schema.type === "integer" ? integerText(schema) : undefined;
  const parse = (text: string | undefined): Value => {
    if (text === undefined || number?.test(text) === false) throw refusal();
    const value: unknown = number ? Number(text) : text;
    if (!check.Check(value)) throw refusal();
    const decoded = decode === undefined ? (value as Value) : decode(value);
    if (decoded === undefined) throw refusal();
    return decoded;
  };
  return { name, description, schema, example, parse };
}

/** A parameter that stands where the endpoint's path has `:name`. */
export const pathParameter = <const Name extends string, Schema extends TString, Value = Static<Schema>>(
  name: Name,
  options: Options<Schema, Value>,
): Parameter<Name, NoInfer<Value>> => ({ ...parsed(name, options), in: "path", isRequired: true });

export const queryParameter = <const Name extends string, Schema extends TString | TInteger, Value = Static<Schema>>(
  name: Name,
  options: Options<Schema, Value>,
): Parameter<Name, NoInfer<Value>> => ({ ...parsed(name, options), in: "query", isRequired: true });

/** A query parameter whose value is undefined if the request does not have it. */
export const optionalQueryParameter = <const Name extends string, Schema extends TString | TInteger, Value = Static<Schema>>(
  name: Name,
  options: Options<Schema, Value>,
): Parameter<Name, NoInfer<Value> | undefined> => {
  const { parse, ...others } = parsed(name, options);
  return { ...others, in: "query", isRequired: false, parse: (text) => (text === undefined ? undefined : parse(text)) };
};

/** None of our headers is required. `parse` refuses with a code of the header's own, or not at all. */
export const headerParameter = <const Name extends string, Value>(
  name: Name,
  options: Described<TString> & { readonly parse: (text: string | undefined) => Value },
): Parameter<Name, Value> => ({ name, ...options, in: "header", isRequired: false });
