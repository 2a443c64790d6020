import { type TInteger, type TSchema, Type } from "@sinclair/typebox";

/**
 * Each setting is a TypeBox schema: its type and bounds check the variable, its `default` and `description` make the help. `must`
 * completes the sentence that refuses a value; `secret` keeps the value out of that sentence.
 */
export const integer = (defaultValue: number, minimum: number, maximum: number, description: string): TInteger =>
  Type.Integer({ default: defaultValue, minimum, maximum, description });

export const choice = <const T extends string>(values: readonly T[], defaultValue: T | undefined, description: string) =>
  Type.Unsafe<T>({ type: "string", enum: values, description, ...(defaultValue === undefined ? {} : { default: defaultValue }) });

export interface TextOptions {
  readonly default?: string;
  readonly secret?: true;
  /** Looks closer than the pattern can: undefined where the value is fine, else a sentence that says more than `must`, or none (""). */
  readonly flaw?: (value: string) => string | undefined;
}

export const text = (must: string, pattern: string, description: string, more: TextOptions = {}) =>
  Type.String({ pattern, must, description, ...more });

export const path = (description: string, more: TextOptions = {}) => text("be a path", "^[^\\0]{1,4096}$", description, more);

export const mustBe = (schema: TSchema): string => {
  if (schema.enum !== undefined) return `be one of ${schema.enum.join(", ")}`;
  if (schema.type === "integer") return `be an integer from ${schema.minimum} to ${schema.maximum}`;
  return schema.must;
};

/** A value as it was given, but for what stands before an @, which may be a password. */
export const shown = (value: unknown): string => {
  const json = JSON.stringify(value).replace(/[^\s"/,]+@/g, "…@");
  return json.length <= 80 ? json : `${json.slice(0, 77)}…"`;
};
