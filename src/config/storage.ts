import { isAbsolute } from "node:path";
import { fileURLToPath } from "node:url";
import { urlFlaw } from "./addresses.ts";
import { integer, text, textReadAs, type ValuesOf, whereSet } from "./setting.ts";

const BUCKET_URL = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9!_.*'()/-]{1,512}))?$/;
const credential = { must: "have 1 to 4096 visible ASCII characters", pattern: /^[!-~]{1,4096}$/ };

const A_DIRECTORY = "A directory is given by its whole path, and without a host: file:///var/backups/orders.";
const A_SERVER = "The server's URL goes to AWS_ENDPOINT_URL, and the bucket here: s3://bucket/prefix.";

function snapshotUrlFlaw(given: string): string | undefined {
  if (given.startsWith("s3://")) return bucketUrlFlaw(given);
  if (/^https?:\/\//i.test(given)) return A_SERVER;
  if (!given.startsWith("file://")) return isAbsolute(given) ? A_DIRECTORY : "";
  try {
    return isAbsolute(fileURLToPath(given)) ? undefined : A_DIRECTORY;
  } catch {
    return A_DIRECTORY;
  }
}

function bucketUrlFlaw(given: string): string | undefined {
  if (BUCKET_URL.test(given)) return undefined;
  const [bucket = ""] = given.slice("s3://".length).split("/", 1);
  if (/[:@]/.test(bucket)) return A_SERVER;
  if (!BUCKET_URL.test(`s3://${bucket}`))
    return "A bucket's name has 3 to 63 small letters, digits, dots and hyphens, and begins and ends with a letter or a digit.";
  return "The prefix after the bucket has at most 512 letters, digits, slashes and !_.*'()-.";
}

/** Without a path: the bucket is told by SNAPSHOT_URL. */
function serverUrlFlaw(given: string): string | undefined {
  const url = URL.parse(given);
  const isMore = url !== null && (url.pathname.length > 1 || url.search !== "" || url.hash !== "");
  return (
    urlFlaw(isMore ? url.origin : given) ??
    (isMore ? "It ends with the host or its port: the bucket and the prefix go to SNAPSHOT_URL." : undefined)
  );
}

/** The program gets these as one value, `snapshot_storage`. */
export const storageSettings = {
  SNAPSHOT_URL: text({
    must: "be a URL such as file:///var/backups/orders or s3://bucket/prefix",
    pattern: /^[^\0]{1,4096}$/,
    flaw: snapshotUrlFlaw,
    words: "where snapshots of the stores are kept: file:///… or s3://bucket/prefix; unset: none are taken",
    note: "All services of a topic are given the same one. [What it is good for](operating.md#how-do-i-run-with-a-retention).",
  }),
  AWS_ACCESS_KEY_ID: text({ ...credential, words: "key id for s3://" }),
  AWS_SECRET_ACCESS_KEY: text({ ...credential, words: "key for s3://", secret: true }),
  AWS_SESSION_TOKEN: text({ ...credential, words: "session token for s3://, where the key is a temporary one", secret: true }),
  AWS_REGION: text({ must: "be a region's name", pattern: /^[a-z0-9-]{1,64}$/, words: "region for s3://" }),
  AWS_ENDPOINT_URL: textReadAs(
    {
      must: "be a URL such as https://s3.example.org",
      pattern: /^[!-~]{1,500}$/,
      flaw: serverUrlFlaw,
      words: "where the S3-compatible server of s3:// is; unset: Amazon's own",
    },
    whereSet((given) => given.replace(/\/$/, "")),
  ),
};

/** When snapshots are taken, and how many are kept. */
export const snapshotSettings = {
  SNAPSHOT_WAIT_MS: integer({
    default: 900_000,
    min: 1_000,
    max: 604_800_000,
    words: "age of a store's newest snapshot at which another one is taken, if the store has moved on",
  }),
  SNAPSHOTS_KEPT: integer({ default: 3, min: 1, max: 1_000, words: "good snapshots of each store that are kept" }),
};

/** Where snapshots are kept. */
export type SnapshotStorageConfig =
  | { readonly kind: "file"; readonly directory: string }
  | {
      readonly kind: "s3";
      readonly bucket: string;
      /** What all names begin with in the bucket: "", or a path that ends with a slash. */
      readonly prefix: string;
      /** Undefined: Amazon's own, of the region. */
      readonly endpoint: string | undefined;
      readonly region: string | undefined;
      readonly access_key_id: string;
      readonly secret_access_key: string;
      readonly session_token: string | undefined;
    };

/** Undefined: no snapshots are taken. */
export function snapshotStorageConfig(s: ValuesOf<typeof storageSettings>): SnapshotStorageConfig | undefined {
  if (s.snapshot_url === undefined) return undefined;
  const [, bucket, path = ""] = BUCKET_URL.exec(s.snapshot_url) ?? [];
  if (bucket === undefined) return { kind: "file", directory: fileURLToPath(s.snapshot_url).replace(/(?<=.)\/+$/, "") };
  return {
    kind: "s3",
    bucket,
    prefix: path === "" ? "" : `${path.replace(/^\/+|\/+$/g, "")}/`,
    endpoint: s.aws_endpoint_url,
    region: s.aws_region,
    access_key_id: s.aws_access_key_id ?? "",
    secret_access_key: s.aws_secret_access_key ?? "",
    session_token: s.aws_session_token,
  };
}
