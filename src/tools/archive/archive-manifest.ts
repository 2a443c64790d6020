import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError, isAppError } from "../../errors.ts";
import type { FileSum } from "./archive-files.ts";
import type { SurveyedRange } from "../scan/survey.ts";
import type { Undecodable } from "../scan/undecodable.ts";
import { writeDurably } from "../files/write-durably.ts";

export const FORMAT_VERSION = 1;

/** What an archive is to hold, written at its start to `<directory>/<topic>.plan.json`. */
export interface ArchivePlan {
  readonly version: number;
  readonly topic: string;
  /** The topic's own id, where the log has one. */
  readonly topicId?: string | undefined;
  readonly logId: string;
  /** The batches that cannot be decoded, and so are not in the files; undefined where they were not looked for. */
  readonly undecodable?: Undecodable;
  readonly partitions: readonly SurveyedRange[];
}

/** What an archive holds, written to `<directory>/<topic>.manifest.json` after all of it was compared with the log. */
export interface Manifest extends ArchivePlan {
  /** An ISO 8601 time; manifests of earlier versions do not have it. */
  readonly finishedAt?: string | undefined;
  readonly files: readonly FileSum[];
}

const manifestPath = (directory: string, topic: string): string => join(directory, `${topic}.manifest.json`);

export function writeManifest(directory: string, manifest: Manifest): void {
  writeDurably(manifestPath(directory, manifest.topic), JSON.stringify(manifest, undefined, 2));
}

const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** What a restore needs of a manifest. It is checked, since the file may come from anywhere. */
const manifestSchema = Type.Object({
  version: Type.Integer(),
  topic: Type.String(),
  finishedAt: Type.Optional(Type.String()),
  undecodable: Type.Optional(
    Type.Object({
      batches: count,
      kept: Type.Array(Type.Object({ partition: count, offset: count, lastOffset: count, reason: Type.String() })),
    }),
  ),
  partitions: Type.Array(Type.Object({ partition: count, matching: count }), { maxItems: 100_000 }),
  files: Type.Array(Type.Object({ name: Type.String(), records: count, bytes: count, sha256: Type.String() })),
});

export type ReadManifest = Static<typeof manifestSchema>;

/** The manifest of an archive that was finished before; undefined where there is none, or none that can be used. */
export function earlierManifest(directory: string, topic: string): ReadManifest | undefined {
  try {
    return readManifest(directory, topic);
  } catch (e) {
    if (isAppError(e, "OPERATION_REFUSED")) return undefined;
    throw e;
  }
}

/** Throws OPERATION_REFUSED where the manifest is missing, or is not one that this program reads. */
export function readManifest(directory: string, topic: string): ReadManifest {
  const path = manifestPath(directory, topic);
  if (!existsSync(path)) {
    throw new AppError(
      "OPERATION_REFUSED",
      `${path} is missing: the archive was not finished, or is another topic's (see --topic).`,
    );
  }
  const manifest = parsed(readFileSync(path, "utf8"));
  if (!Value.Check(manifestSchema, manifest) || manifest.version !== FORMAT_VERSION || manifest.topic !== topic) {
    throw new AppError(
      "OPERATION_REFUSED",
      `${path} is no manifest of ${topic} in format ${FORMAT_VERSION}, which this program reads.`,
    );
  }
  return manifest;
}

/** The parsed text; undefined where it is not JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
