import { AppError } from "../errors.ts";

/** A variable's value once it is parsed, before the program reads it. */
export type Given = string | number;
export type ReadFile = (path: string) => string;

/** One setting: what its variable may hold, what people are told about it, and what the program gets from it. */
export interface Setting<Value = unknown> extends Kind {
  /** The default, as the help shows it. Undefined: the variable may stay unset. */
  readonly default: Given | undefined;
  /** What the setting does, for the help and docs/settings.md. */
  readonly words: string;
  /** What docs/settings.md says beyond that. */
  readonly note: string | undefined;
  /** Whether the value must not appear in any message or log line. */
  readonly secret: boolean;
  /** Throws CONFIG_INVALID with the end of a sentence if the value names a file that cannot be used. */
  readonly read: (given: Given | undefined, readFile: ReadFile) => Value;
}

/** What all settings of one type have in common. */
interface Kind {
  /** Completes the sentence that refuses a value: “it must …”. */
  readonly must: string;
  /** For people: the bounds of an integer, or the words to choose from; "" for a text. */
  readonly bounds: string;
  /** Turns the variable's text into a value, which is not checked yet. */
  readonly parse: (variable: string) => Given;
  /** Undefined if the value is fine; else a sentence that adds to `must`, or "" where there is nothing to add. */
  readonly flaw: (given: Given) => string | undefined;
}

/** What the program gets from some settings, each under its name in lower case. */
export type ValuesOf<Table extends Record<string, Setting>> = {
  readonly [Name in keyof Table & string as Lowercase<Name>]: Table[Name] extends Setting<infer Value> ? Value : never;
};

interface Words {
  readonly words: string;
  readonly note?: string;
}

/** With a default the program always gets a value; without one it may get none. */
type WithUnset<Value, Default> = Value | Extract<Default, undefined>;

interface IntegerOptions<Default> extends Words {
  readonly default?: Default;
  readonly min: number;
  readonly max: number;
}

export const integer = <const Default extends number | undefined = undefined>(
  options: IntegerOptions<Default>,
): Setting<WithUnset<number, Default>> => {
  const { min, max } = options;
  const kind = {
    must: `be an integer from ${min} to ${max}`,
    bounds: `${min} to ${max}`,
    parse: (variable: string) => (/^-?[0-9]{1,15}$/.test(variable) ? Number(variable) : variable),
    flaw: (given: Given) => (typeof given === "number" && given >= min && given <= max ? undefined : ""),
  };
  return setting(kind, options, (given) => given as WithUnset<number, Default>);
};

interface ChoiceOptions<Default> extends Words {
  readonly default?: Default;
}

const oneOf = (values: readonly string[]): Kind => ({
  must: `be one of ${values.join(", ")}`,
  bounds: `one of ${values.join(", ")}`,
  parse: (variable) => variable.toLowerCase(),
  flaw: (given) => (values.includes(String(given)) ? undefined : ""),
});

/** A setting that takes one of some words, in upper or lower case. */
export const choice = <const Values extends readonly string[], const Default extends Values[number] | undefined = undefined>(
  values: Values,
  options: ChoiceOptions<Default>,
): Setting<WithUnset<Values[number], Default>> =>
  setting(oneOf(values), options, (given) => given as WithUnset<Values[number], Default>);

/** A setting that is false, its default, or true. */
export const flag = (words: Words): Setting<boolean> =>
  setting(oneOf(["false", "true"]), { ...words, default: "false" }, (given) => given === "true");

interface TextOptions<Default> extends Words {
  readonly must: string;
  readonly pattern: RegExp;
  /** Checks what the pattern cannot. */
  readonly flaw?: (given: string) => string | undefined;
  readonly default?: Default;
  readonly secret?: true;
}

export const text = <const Default extends string | undefined = undefined>(
  options: TextOptions<Default>,
): Setting<WithUnset<string, Default>> => textReadAs(options, (given) => given as WithUnset<string, Default>);

/** A text that the program gets as something else. */
export const textReadAs = <Value>(
  { must, pattern, flaw, ...rest }: TextOptions<string | undefined>,
  read: Setting<Value>["read"],
): Setting<Value> => {
  const kind = {
    must,
    bounds: "",
    parse: (variable: string) => variable,
    flaw: (given: Given) => (pattern.test(String(given)) ? flaw?.(String(given)) : ""),
  };
  return setting(kind, rest, read);
};

/** Makes the `read` of a text that may be unset. */
export const whereSet =
  <Value>(read: (given: string) => Value) =>
  (given: Given | undefined): Value | undefined =>
    given === undefined ? undefined : read(String(given));

const pathText = { must: "be a path", pattern: /^[^\0]{1,4096}$/ };

interface PathOptions<Default> extends Words {
  readonly default?: Default;
}

export const path = <const Default extends string | undefined = undefined>(
  options: PathOptions<Default>,
): Setting<WithUnset<string, Default>> => text({ ...options, ...pathText });

/** The path of a PEM file; the program gets the file's content. */
export const pemFile = (words: Words): Setting<string | undefined> =>
  textReadAs({ ...words, ...pathText }, (given, readFile) => {
    if (given === undefined) return undefined;
    const content = contentOf(String(given), readFile);
    if (/-----BEGIN [A-Z0-9 ]+-----/.test(content)) return content;
    throw new AppError("CONFIG_INVALID", "it must be a file in PEM format, which has a line -----BEGIN …-----.");
  });

/** The path of a file that holds a secret; the program gets the secret, without the line break that ends the file. */
export const secretFile = (words: Words): Setting<string | undefined> =>
  textReadAs({ ...words, ...pathText }, (given, readFile) => {
    if (given === undefined) return undefined;
    const content = contentOf(String(given), readFile).replace(/\r?\n$/, "");
    if (SECRET.test(content)) return content;
    throw new AppError("CONFIG_INVALID", `it must be a file with ${SECRET_WORDS}, such as 32 random bytes in hexadecimal.`);
  });

const SECRET = /^[!-~]{32,1024}$/;
const SECRET_WORDS = "32 to 1024 visible ASCII characters on one line";

const contentOf = (file: string, readFile: ReadFile): string => {
  try {
    return readFile(file);
  } catch (e) {
    const why = e instanceof Error ? e.message : String(e);
    throw new AppError("CONFIG_INVALID", `it must be a file that can be read (${why}).`, {}, e);
  }
};

interface Description extends Words {
  readonly default?: Given | undefined;
  readonly secret?: true;
}

const setting = <Value>(
  { must, bounds, parse, flaw }: Kind,
  description: Description,
  read: Setting<Value>["read"],
): Setting<Value> => {
  const { words, note, secret } = description;
  return { must, bounds, parse, flaw, words, note, read, default: description.default, secret: secret === true };
};

/**
 * The value of a variable, not checked yet. An empty variable counts as unset. Spaces around it are cut off, but not
 * from a secret.
 */
export const parseVariable = (variable: string | undefined, { secret, parse, default: unset }: Setting): Given | undefined => {
  const trimmed = secret ? variable : variable?.trim();
  return trimmed === undefined || trimmed === "" ? unset : parse(trimmed);
};

/** A value as it was given, except that what stands before an @ is hidden: it may be a password. */
export const shown = (value: unknown): string => {
  const json = JSON.stringify(value).replace(/[^\s"/,]+@/g, "…@");
  return json.length <= 80 ? json : `${json.slice(0, 77)}…"`;
};
