import { isatty } from "node:tty";
import { writeSync } from "node:fs";
import pino from "pino";
import { prettyFactory } from "pino-pretty";
import type { Config } from "../config/config.ts";

export type Logger = pino.Logger;

export interface LoggerOptions {
  readonly level: Config["log_level"];
  /** `auto` is pretty on a terminal, and JSON lines elsewhere. */
  readonly format: Config["log_format"];
  /** The values that no line may contain anywhere, such as the password for the brokers. */
  readonly secrets?: readonly string[];
  readonly terminal?: boolean;
  /** Takes one whole line at a time, its newline included. */
  readonly write?: (line: string) => void;
}

/**
 * Makes a pino logger that writes synchronously, so that the last line before a crash is written. Nothing that a user
 * sent can end, forge or colour a line: both formats escape control characters and what a terminal takes for one.
 */
export const createLogger = (options: LoggerOptions): Logger => {
  const terminal = options.terminal ?? isTerminal();
  const pretty = options.format === "pretty" || (options.format === "auto" && terminal);
  const write = options.write ?? writeToStdout;
  const withoutSecrets = secretRemover(options.secrets ?? []);
  const format = pretty ? prettyLine(terminal) : jsonLine;
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: errorSerializer },
      redact: { paths: secretPaths, censor: REDACTED },
    },
    { write: (line: string) => write(format(withoutSecrets(line))) },
  );
};

const STDOUT = 1;
export const isTerminal = (): boolean => isatty(STDOUT);

const REDACTED = "[redacted]";

const secretNames = ["password", "sasl_password", "secret", "authorization", "cookie", "KAFKA_SASL_PASSWORD"];
/** The paths of these names at the top and up to three objects deep. */
const secretPaths = secretNames.flatMap((name) => ["", "*.", "*.*.", "*.*.*."].map((depth) => depth + name));

/** A terminal or a pipe may be full for a moment (EAGAIN); a log line is not worth failing for any other error. */
export const writeToStdout = (line: string): void => {
  let rest = Buffer.from(line);
  for (let tries = 0; rest.length > 0 && tries < WRITE_TRIES_MAX; tries++) {
    try {
      rest = rest.subarray(writeSync(STDOUT, rest));
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== "EAGAIN") return;
      Bun.sleepSync(WRITE_RETRY_MS);
    }
  }
};
const WRITE_TRIES_MAX = 100;
const WRITE_RETRY_MS = 5;

/**
 * The characters that JSON leaves unescaped but that a terminal or a log shipper acts on: C1 controls (0x9b starts a
 * terminal sequence), DEL, the line separators U+0085, U+2028 and U+2029, and those that change the writing direction.
 */
const unsafe = /[\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g;
const escapedCharacter = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
const jsonLine = (line: string): string => line.replace(unsafe, escapedCharacter);

/** One escape in a JSON string. Escapes are matched from the left, so `\\n` is a backslash and an n. */
const jsonEscape = /\\(?:["\\/]|[bfnrt]|u[0-9a-fA-F]{4})/g;

/**
 * Escapes each JSON escape once more, so that parsing the line gives a visible `\n` and never a newline. The escapes
 * of quotes and backslashes are left alone.
 */
const visible = (line: string): string =>
  jsonLine(line).replace(jsonEscape, (escape) =>
    escape.length === 2 && '"\\/'.includes(escape.charAt(1)) ? escape : `\\${escape}`,
  );

const prettyLine = (colorize: boolean): ((line: string) => string) => {
  const format = prettyFactory({ colorize, translateTime: "SYS:HH:MM:ss.l", singleLine: true });
  return (line) => {
    const text = format(visible(line));
    return text.endsWith("\n") ? text : `${text}\n`;
  };
};

/** Removes secrets from the values of a line. Only a line that contains one is parsed. */
const secretRemover = (secrets: readonly string[]): ((line: string) => string) => {
  const needles = secrets
    .filter((secret) => secret.length >= SECRET_CHARS_MIN)
    .map((secret) => ({ secret, encoded: JSON.stringify(secret).slice(1, -1) }));
  if (needles.length === 0) return (line) => line;
  return (line) => {
    const found = needles.filter(({ encoded }) => line.includes(encoded));
    if (found.length === 0) return line;
    const clean = (_: string, value: unknown): unknown =>
      typeof value === "string" ? found.reduce((text, { secret }) => text.replaceAll(secret, REDACTED), value) : value;
    return `${JSON.stringify(JSON.parse(line, clean))}\n`;
  };
};
/** A shorter secret occurs in harmless words, and redacting those would reveal it. */
const SECRET_CHARS_MIN = 4;

/** Turns an error into an object. Its stack becomes a list of frames, as a stack's text has the message's newlines. */
const errorSerializer = (error: unknown): unknown => describeError(error, CAUSES_MAX);
const CAUSES_MAX = 5;

const describeError = (error: unknown, causesLeft: number): unknown => {
  if (!(error instanceof Error)) return error;
  const { code, extra } = error as Error & { code?: unknown; extra?: unknown };
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    message: error.message,
    ...(extra === undefined ? {} : { extra }),
    stack: error.stack
      ?.split("\n")
      .filter((frame) => /^\s+at /.test(frame))
      .map((frame) => frame.trim()),
    ...(error.cause === undefined || causesLeft === 0 ? {} : { cause: describeError(error.cause, causesLeft - 1) }),
  };
};
