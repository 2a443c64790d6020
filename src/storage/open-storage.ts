import type { Clock } from "../system/clock.ts";
import type { NewUuid } from "../system/random.ts";
import type { SnapshotStorageConfig } from "../config/storage.ts";
import { FileStorage } from "./file-storage.ts";
import type { ObjectStorage } from "./object-storage.ts";
import { S3Storage } from "./s3-storage.ts";

/** Opens the storage that the settings name. Nothing is asked of it yet. */
export const openStorage = (
  config: SnapshotStorageConfig,
  { clock, newUuid }: { readonly clock: Clock; readonly newUuid: NewUuid },
): ObjectStorage => (config.kind === "file" ? new FileStorage(config.directory, newUuid) : new S3Storage(config, clock));
