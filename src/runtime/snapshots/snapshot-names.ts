import type { Random } from "../../system/random.ts";
import { MANIFEST_NAME, type SnapshotSubject } from "./manifest.ts";

/**
 * The names of the objects of a snapshot:
 *
 * ```
 *  <log id>/<topic>/<kind>-<version>/<partition>/<reach>-<time>-<chance>/manifest.json
 *                                                                                 /000000, /000001, …
 * ```
 * Snapshots of one store sort by how far they are, and two that are taken at once have two names, so that a process
 * which no longer owns its partition spoils nothing.
 */
export const directoryOf = ({ logId, topic, kind, partition }: SnapshotSubject): string =>
  `${[logId, topic, `${kind.name}-${kind.version}`].map(asPath).join("/")}/${partition}/`;

/** What is safe in the names of files and in URLs. */
const asPath = (text: string): string => text.replace(/[^A-Za-z0-9._-]/g, "_");

const REACH_DIGITS = 16;

/** The name of a new snapshot: a directory, with a slash at its end. */
export function newName(subject: SnapshotSubject, reach: number, taken_ms: number, random: Random): string {
  const time = new Date(taken_ms).toISOString().replace(/[-:]|\.[0-9]{3}/g, "");
  const chance = [random(), random()]
    .map((n) =>
      Math.floor(n * 2 ** 32)
        .toString(16)
        .padStart(8, "0"),
    )
    .join("");
  return `${directoryOf(subject)}${String(reach).padStart(REACH_DIGITS, "0")}-${time}-${chance}/`;
}

export const manifestOf = (name: string): string => `${name}${MANIFEST_NAME}`;

/** The name of the snapshot that the object belongs to; undefined if its name is none of ours. */
export const snapshotOf = (object: string): string | undefined => SNAPSHOT.exec(object)?.[0];

const SNAPSHOT = /^(?:.*\/)?[0-9]{16}-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}\//;
