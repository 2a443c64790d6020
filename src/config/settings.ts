import { hostsFlaw, hostsOf, listeningAddress, listPattern, urlFlaw } from "./addresses.ts";
import { logSettings } from "./log.ts";
import { openTelemetrySettings } from "./open-telemetry.ts";
import { snapshotSettings, storageSettings } from "./storage.ts";
import { choice, integer, path, secretFile, type Setting, text, textReadAs, type ValuesOf, whereSet } from "./setting.ts";

/**
 * The names that Kafka takes for a topic (at most 249 characters), four characters shorter to leave room for `.dlq`.
 */
const topicPattern = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,245}$/;
const nameCharacters = "letters, digits, dots, underscores and hyphens";

/** As many as there may be instances of one role in a data directory. */
export const MEMBERS_MAX = 64;

const placeSettings = {
  /** A name or an address; an IPv6 address has no brackets here. */
  HOST: textReadAs(
    {
      must: "be a host name or an address",
      pattern: /^(?:[A-Za-z0-9.:_-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])$/,
      words: "address on which both services listen",
      note: "The image sets `0.0.0.0`.",
      default: "127.0.0.1",
    },
    (given) => listeningAddress(String(given)),
  ),
  CART_PORT: integer({ default: 8000, min: 0, max: 65_535, words: "port of the cart service; 0 takes a free one" }),
  ORDER_PORT: integer({ default: 8001, min: 0, max: 65_535, words: "port of the order service; 0 takes a free one" }),
  /** A number, or `auto`. */
  MEMBERS: textReadAs(
    {
      must: `be an integer from 1 to ${MEMBERS_MAX}, or auto`,
      pattern: /^(?:auto|[1-9]|[1-5][0-9]|6[0-4])$/i,
      words: "processes that share the ports and the work; auto: one for each core that the program may use",
      note: "More than one needs Linux ([why](decisions/0033-members-behind-one-port.md)). Every bound is one member's.",
      default: "1",
    },
    (given) => (/^auto$/i.test(String(given)) ? ("auto" as const) : Number(given)),
  ),
  MEMBER_PORT_MIN: integer({
    default: 0,
    min: 0,
    max: 65_535,
    words: "first of the ports that members have of their own, two for each member; 0 takes free ones",
    note: "Set it where a firewall must know them.",
  }),
  /** In lower case and without ports; IPv6 addresses have no brackets and are spelled as in URLs. */
  ALLOWED_HOSTS: textReadAs(
    {
      must: "be host names or addresses separated by commas",
      pattern: listPattern,
      flaw: hostsFlaw,
      words: "host names served besides loopback's; unset: any, or loopback's alone if HOST is loopback",
      note: "A request under any other name is answered with 421. If a proxy on the same machine passes on the name that it was asked for, that name must be listed here.",
    },
    (given): readonly string[] => (given === undefined ? [] : hostsOf(String(given))),
  ),
  /** Without a slash at its end. */
  ADVERTISED_URL: textReadAs(
    {
      must: "be a URL, such as http://10.0.0.5:8001",
      pattern: /^[!-~]{1,500}$/,
      flaw: urlFlaw,
      words:
        "URL at which others of its kind reach this instance; unset: HOST and the port, or this machine's first address if HOST means all",
      note: "Its host is always served. Where `MEMBERS` share a port, each puts its own port in it, and so does the cart in a process that is an order service as well.",
    },
    whereSet((url) => url.replace(/\/+$/, "")),
  ),
  PEER_TOKEN_FILE: secretFile({
    words: "file of the secret by which members of a fleet trust each other; unset: peer-token in DATA_DIR, made once",
    note: "All order services of a group need the same one, and so do all carts; those that share a `DATA_DIR` have it.",
  }),
  OLD_STORES_KEPT_MS: integer({
    default: 604_800_000,
    min: 0,
    max: 31_536_000_000,
    words:
      "how long a service keeps a store of another version beside its own, for going back to that version, and a store of a partition that has moved to another member",
    note: "It counts from when the store was last written. The first is never deleted before this version's own has caught up; the second never before another member was seen to go on beyond it for hours, so it is kept for some hours even with 0. A store whose partition has halted is never deleted.",
  }),
  DATA_DIR: path({
    default: "./data",
    words: "directory of the state and of the embedded log",
    note: "Files there are for this user alone (0600, directories 0700). The image sets `/data`.",
  }),
};

const topicSettings = {
  ORDERS_TOPIC: text({
    must: `have 1 to 245 ${nameCharacters}, but not . or .. alone`,
    pattern: topicPattern,
    words: "topic of the orders' events; its dead letters go to <ORDERS_TOPIC>.dlq",
    default: "orders.events",
  }),
  TOPIC_PARTITIONS: integer({ default: 12, min: 1, max: 1_000, words: "partitions of the topic, if it must be created" }),
  TOPIC_REPLICATION: integer({
    min: 1,
    max: 100,
    words: "replicas of the topic, if it must be created; unset: the brokers' default",
  }),
  LOG_START: choice(["complete", "accept"], {
    default: "complete",
    words:
      "complete: a topic that has lost its first records halts a new state; accept: what is left is taken for the whole topic",
  }),
  CONSUMER_GROUP: text({
    must: `have 1 to 249 ${nameCharacters}`,
    pattern: /^[A-Za-z0-9._-]{1,249}$/,
    words: "group in which order services share the partitions",
    note: "It used to be `order-service`; [how to change over](operating.md#how-do-i-go-over-from-the-group-order-service).",
    default: "order-processing",
  }),
  CART_GROUP: text({
    must: `have 1 to 240 ${nameCharacters}`,
    pattern: /^[A-Za-z0-9._-]{1,240}$/,
    words: "group in which carts share the index of orders out (Kafka only)",
    note: "A mark of the peers' token is added to it: carts that do not have the same token share nothing.",
    default: "order-processing-carts",
  }),
  INDEX_REPLICAS: integer({
    default: 2,
    min: 0,
    max: 8,
    words: "how many carts have the index of each partition (Kafka only); 0: each cart has all",
    note: "So up to that many carts have all, too. A create or update that comes to another cart takes one hop. The largest number that any cart is set to counts.",
  }),
  PARTITIONER: choice(["murmur2", "crc32"], {
    default: "murmur2",
    words: "where creates go: murmur2 as Java and kafkajs do, crc32 as librdkafka does",
    note: "Programs that share a topic must share the partitioner: `crc32` beside programs on librdkafka, such as the Python predecessor.",
  }),
  SESSION_TIMEOUT_MS: integer({
    default: 10_000,
    min: 1_000,
    max: 1_800_000,
    words: "silence after which the group gives a member's partitions away (brokers refuse less than 6000)",
    note: "An order service that is back within it, also after kill -9, has its partitions again at once, and nothing else moves: make it longer than a restart takes.",
  }),
  GROUP_LEAVE: choice(["auto", "always", "never"], {
    default: "auto",
    words: "whether a stopping order service gives its partitions away at once: auto, if each has a standby that has followed it",
    note: "Otherwise they stay with it until its session ends, so that a restart finds them; set `always` where a stopped order service does not come back. The embedded log's group hands over at once whatever is set. Carts take `auto` for `never`: who else has an index answers alike.",
  }),
  STANDBYS: integer({
    default: 0,
    min: 0,
    max: 8,
    words: "how many order services follow each partition that another one owns, to take over without a rebuild",
    note: "The largest number that any member of the group is set to counts. A standby costs as much as an owner: it reads and folds the same records, and keeps them on its disk.",
  }),
};

const boundSettings = {
  PARTITIONS_SETTLE_MS: integer({
    default: 10_000,
    min: 0,
    max: 3_600_000,
    words: "after partitions were added, how long creates that move wait until every program places by the new count",
    note: "Set it to 310000 where programs on librdkafka or kafkajs create orders too ([why](decisions/0007-placement-while-partitions-are-added.md)).",
  }),
  APPEND_WAIT_MS_MAX: integer({
    default: 4_000,
    min: 10,
    max: 4_500,
    words: "longest wait for the log to take a create or update; then 503",
  }),
  APPEND_QUEUE_RECORDS_MAX: integer({
    default: 10_000,
    min: 1,
    max: 1_000_000,
    words: "events waiting to be appended; beyond it 503",
  }),
  APPEND_BATCH_RECORDS_MAX: integer({ default: 1_000, min: 1, max: 10_000, words: "events appended at once" }),
  READ_WAIT_MS_MAX: integer({
    default: 2_000,
    min: 0,
    max: 4_500,
    words: "longest wait for a Log-Position to be applied; then 503",
  }),
  IN_FLIGHT_REQUESTS_MAX: integer({
    default: 4_096,
    min: 1,
    max: 65_536,
    words: "requests answered at the same time by one service; beyond it 503",
  }),
  BODY_BYTES_MAX: integer({ default: 65_536, min: 64, max: 1_048_576, words: "longest request body; beyond it 413" }),
  BACKOFF_MS_MIN: integer({
    default: 100,
    min: 1,
    max: 60_000,
    words: "first wait before the log is tried again; it doubles, with jitter",
  }),
  BACKOFF_MS_MAX: integer({ default: 2_000, min: 1, max: 60_000, words: "longest wait before the log is tried again" }),
  SHUTDOWN_WAIT_MS_MAX: integer({
    default: 8_000,
    min: 0,
    max: 60_000,
    words: "longest wait for requests in flight when stopping",
  }),
};

const operatorSettings = {
  REDPANDA_CONNECT_BIN: path({
    words: "Redpanda Connect, for replay, redrive and archive; unset: looked for on PATH, then in Docker",
  }),
  OPERATOR_TOKEN: text({
    must: "have 8 to 1024 visible ASCII characters, without spaces and without the line break that ends a file",
    pattern: /^[!-~]{8,1024}$/,
    words: "bearer token that an operator's requests carry; unset: no such request is accepted",
    note: "It lets an operator rebuild partitions. After ten wrong tokens in a minute, an address is answered with 429.",
    secret: true,
  }),
  LOG_LEVEL: choice(["fatal", "error", "warn", "info", "debug", "trace", "silent"], {
    default: "info",
    words: "least level that is logged",
  }),
  LOG_FORMAT: choice(["auto", "json", "pretty"], {
    default: "auto",
    words: "auto is pretty on a terminal and JSON lines elsewhere",
  }),
};

/** Every setting there is, in the order of the help, under the headings of docs/settings.md. */
export const settingGroups = {
  "Where the services listen and keep their state": placeSettings,
  "The brokers": logSettings,
  "The topic and the group": topicSettings,
  "Waits and bounds": boundSettings,
  Snapshots: { ...storageSettings, ...snapshotSettings },
  "Operators and the log": operatorSettings,
  OpenTelemetry: openTelemetrySettings,
} satisfies Record<string, Record<string, Setting>>;

type Group = (typeof settingGroups)[keyof typeof settingGroups];
type NamesOf<One> = One extends unknown ? keyof One : never;
export type SettingName = NamesOf<Group>;
type AllSettings = { readonly [Name in SettingName]: Extract<Group, Record<Name, Setting>>[Name] };

export const settingsTable = Object.values(settingGroups).flatMap((group) => Object.entries(group)) as [SettingName, Setting][];

/** What the program gets from all settings. */
export type SettingValues = ValuesOf<AllSettings>;

/** The names of the settings that the program gets gathered into one value, `log`, `snapshot_storage` or `traces`. */
export type GatheredName = keyof typeof logSettings | keyof typeof storageSettings | keyof typeof openTelemetrySettings;
export const gatheredNames: ReadonlySet<SettingName> = new Set(
  Object.keys({ ...logSettings, ...storageSettings, ...openTelemetrySettings }) as GatheredName[],
);
