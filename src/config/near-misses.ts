import type { SettingName } from "./settings.ts";

/** The least length of a name of several words that may differ by two slips. A shorter one would be another word. */
const TWO_SLIPS_CHARS_MIN = 10;
/** A name as short as HOST is one slip away from too many others. */
const NAME_CHARS_MIN = 6;
/** The least length of a word that was cut short: USER for USERNAME, MECH for MECHANISM. */
const STEM_CHARS_MIN = 4;
/** The least number of words of a name whose last word was left out: KAFKA_TLS_CA for KAFKA_TLS_CA_FILE. */
const WORDS_MIN = 3;

/**
 * Names that other programs use for the same settings. Only those are listed that can hardly mean anything else:
 * SESSION_TIMEOUT is as likely to be a web site's, KAFKA_GROUP_ID any consumer's. A program beside this one may well
 * need one of them, so they count only while the setting itself is not set.
 */
const OTHER_NAMES: Readonly<Record<string, SettingName>> = {
  KAFKA_BOOTSTRAP_SERVERS: "KAFKA_BROKERS",
  KAFKA_BOOTSTRAP_SERVER: "KAFKA_BROKERS",
  BOOTSTRAP_SERVERS: "KAFKA_BROKERS",
  BOOTSTRAP_SERVER: "KAFKA_BROKERS",
  KAFKA_BROKER_LIST: "KAFKA_BROKERS",
  CONSUMER_GROUP_ID: "CONSUMER_GROUP",
  KAFKA_CONSUMER_GROUP: "CONSUMER_GROUP",
  KAFKA_CONSUMER_GROUP_ID: "CONSUMER_GROUP",
  KAFKA_SESSION_TIMEOUT: "SESSION_TIMEOUT_MS",
  KAFKA_SESSION_TIMEOUT_MS: "SESSION_TIMEOUT_MS",
  DATA_DIRECTORY: "DATA_DIR",
};

/**
 * Whether Kubernetes or Docker set the variable for a service beside this one, such as CART_PORT=tcp://10.0.0.1:8000.
 */
export const isServiceLink = (value: string): boolean => /^(?:tcp|udp|sctp):\/\//.test(value);

/**
 * Returns a sentence for each variable whose name is nearly that of a setting. Such a variable would otherwise be
 * ignored in silence, and another system would start: one on the embedded log in place of the brokers. A variable that
 * is only related to a setting, whichever program it belongs to, is left alone.
 */
export function nearMisses(env: Readonly<Record<string, string | undefined>>, settings: readonly string[]): string[] {
  return Object.entries(env).flatMap(([name, value = ""]) => {
    if (isBlank(value) || settings.includes(name) || isServiceLink(value)) return [];
    const meant = nearest(name, settings) ?? meantByOtherName(name, env);
    if (meant === undefined) return [];
    return [`${name} is no setting; did you mean ${meant}? If it is another program's, start this one without it.`];
  });
}

function nearest(name: string, settings: readonly string[]): string | undefined {
  // A digit is no slip: it numbers things (KAFKA_BROKER_1).
  if (/[0-9]/.test(name)) return undefined;
  const near = settings.filter((setting) => isNear(name.toUpperCase(), setting));
  return near.toSorted((a, b) => slips(name.toUpperCase(), a) - slips(name.toUpperCase(), b))[0];
}

function meantByOtherName(name: string, env: Readonly<Record<string, string | undefined>>): string | undefined {
  const letters = lettersOf(name.toUpperCase());
  const setting = Object.entries(OTHER_NAMES).find(([other]) => lettersOf(other) === letters)?.[1];
  return setting === undefined || !isBlank(env[setting]) ? undefined : setting;
}

function isNear(name: string, setting: string): boolean {
  if (setting.length < NAME_CHARS_MIN) return false;
  if (lettersOf(name) === lettersOf(setting)) return true;
  const distance = slips(name, setting);
  if (distance <= 1) return true;
  // OpenTelemetry has many variables, and some differ from each other by no more than this.
  if (setting.startsWith("OTEL_")) return false;
  const words = setting.split("_");
  if (distance === 2 && words.length > 1 && isLong(name) && isLong(setting) && !isReworded(name, setting)) return true;
  return isCutShort(name.split("_"), words);
}

const isBlank = (value = ""): boolean => value.trim() === "";
const isLong = (name: string): boolean => name.length >= TWO_SLIPS_CHARS_MIN;
const lettersOf = (name: string): string => name.replace(/[^A-Z]/g, "");

/**
 * Two replaced letters usually make another word and are no slip: ORDER_HOST is not ORDER_PORT, …_MIN is not …_MAX.
 */
const isReworded = (name: string, setting: string): boolean =>
  name.length === setting.length && name.split("").filter((letter, at) => letter !== setting[at]).length === 2;

/** Whether one word of the name is cut short, or its last word is missing. */
function isCutShort(words: readonly string[], setting: readonly string[]): boolean {
  if (words.length === setting.length) {
    const different = words.flatMap((word, at) => (word === setting[at] ? [] : [{ word, whole: setting[at]! }]));
    const [only] = different;
    return (
      different.length === 1 && words.length > 1 && only!.word.length >= STEM_CHARS_MIN && only!.whole.startsWith(only!.word)
    );
  }
  return words.length >= WORDS_MIN && words.length === setting.length - 1 && words.every((word, at) => word === setting[at]);
}

/** How many letters were left out, inserted, replaced or swapped with their neighbour (optimal string alignment). */
function slips(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : replaced;
      row.push(Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, replaced, swapped));
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
