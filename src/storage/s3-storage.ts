import { S3Client } from "bun";
import { type Clock, within } from "../system/clock.ts";
import type { SnapshotStorageConfig } from "../config/storage.ts";
import { AppError } from "../errors.ts";
import { LISTED_OBJECTS_MAX, type ObjectStorage, type StoredObject } from "./object-storage.ts";
import { listedTooMany, storageFailed, tooLarge } from "./storage-failures.ts";

/** How a bucket is reached. */
export type S3Access = Omit<Extract<SnapshotStorageConfig, { readonly kind: "s3" }>, "kind">;

/** A request that the bucket has not answered by then has failed. */
const REQUEST_MS_MAX = 60_000;
/** How often a request is sent that fails as none should: a lost connection, or a server that is busy. */
const TRIES_MAX = 3;
const RETRY_WAIT_MS = 500;
const LISTED_AT_ONCE = 1_000;

/**
 * Objects in a bucket of S3, or of a server that speaks as S3 does, by Bun's own client. Each object is put in one
 * request, so it is there as a whole or not at all, and no upload in parts is left behind.
 */
export class S3Storage implements ObjectStorage {
  readonly url: string;
  readonly #client: S3Client;

  constructor(
    private readonly access: S3Access,
    private readonly clock: Clock,
  ) {
    const { bucket, prefix, endpoint, region, access_key_id, secret_access_key, session_token } = access;
    this.url = `s3://${bucket}/${prefix.replace(/\/$/, "")}`;
    this.#client = new S3Client({
      bucket,
      accessKeyId: access_key_id,
      secretAccessKey: secret_access_key,
      ...(session_token === undefined ? {} : { sessionToken: session_token }),
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(region === undefined ? {} : { region }),
    });
  }

  async list(prefix: string): Promise<readonly StoredObject[]> {
    const { prefix: own } = this.access;
    const found: StoredObject[] = [];
    let continuationToken: string | undefined;
    do {
      const options = { prefix: own + prefix, maxKeys: LISTED_AT_ONCE, ...(continuationToken && { continuationToken }) };
      const answer = await this.#ask(`Listing ${prefix}`, () => this.#client.list(options));
      for (const { key, size = 0, lastModified } of answer.contents ?? [])
        found.push({ name: key.slice(own.length), bytes: size, modified_ms: Date.parse(lastModified ?? "") || 0 });
      if (found.length > LISTED_OBJECTS_MAX) throw listedTooMany(this.url, prefix, LISTED_OBJECTS_MAX);
      continuationToken = answer.isTruncated === true ? answer.nextContinuationToken : undefined;
    } while (continuationToken !== undefined);
    return found;
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#ask(`Writing ${name}`, () => this.#client.write(this.#key(name), bytes));
  }

  async get(name: string, bytes_max: number): Promise<Uint8Array | undefined> {
    return this.#ask(`Reading ${name}`, async () => {
      const file = this.#client.file(this.#key(name));
      try {
        const { size } = await file.stat();
        if (size > bytes_max) throw tooLarge(this.url, name, size, bytes_max);
        return await file.bytes();
      } catch (e) {
        if (isMissing(e)) return undefined;
        throw e;
      }
    });
  }

  async remove(name: string): Promise<void> {
    await this.#ask(`Removing ${name}`, async () => {
      try {
        await this.#client.delete(this.#key(name));
      } catch (e) {
        if (!isMissing(e)) throw e;
      }
    });
  }

  #key(name: string): string {
    return this.access.prefix + name;
  }

  async #ask<Answer>(what: string, request: () => Promise<Answer>): Promise<Answer> {
    const { clock, url } = this;
    for (let tries = 1; ; tries++) {
      try {
        const answer = await within(
          clock,
          REQUEST_MS_MAX,
          request().then((got) => ({ got })),
        );
        if (answer === undefined)
          throw new AppError("STORAGE_FAILED", `${what}: ${url} did not answer within ${REQUEST_MS_MAX} ms.`);
        return answer.got;
      } catch (e) {
        if (tries === TRIES_MAX || !isPassing(e)) throw storageFailed(url, what, described(e));
      }
      await clock.sleep(RETRY_WAIT_MS * tries);
    }
  }
}

const codeOf = (e: unknown): string => String((e as { code?: unknown } | null)?.code);

/** A look-up alone has no body in which the server could say which key is missing; Bun's client then says UnknownError. */
const isMissing = (e: unknown): boolean => /^(NoSuchKey|NotFound)$/.test(codeOf(e));

/** What the server refuses, it refuses again. */
const isPassing = (e: unknown): boolean =>
  !(e instanceof AppError) && !/^(AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|NoSuchBucket|ERR_S3_)/.test(codeOf(e));

/** The server's code says more than its message. */
const described = (e: unknown): unknown => {
  if (e instanceof AppError) return e;
  const code = codeOf(e);
  const message = e instanceof Error ? e.message : String(e);
  return code === "undefined" || message.includes(code) ? e : new Error(`${code}: ${message}`, { cause: e });
};
