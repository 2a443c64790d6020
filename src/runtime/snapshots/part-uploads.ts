import type { ObjectStorage } from "../../storage/object-storage.ts";
import type { Compression } from "./compression.ts";
import type { PartContent, SnapshotPart } from "./manifest.ts";

/** How many parts are compressed and put at the same time: what they take of memory is bounded by it. */
const UPLOADS_MAX = 3;

/**
 * Puts the parts of one snapshot, a few at a time.
 *
 * ```
 *  open ──add()──▶ open, waiting where too many are under way ──finish()──▶ all are put
 *    └─ one fails ─▶ failed: the next call rejects, once none is under way any more
 * ```
 */
export class PartUploads {
  readonly #parts: Promise<SnapshotPart>[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #failure: { readonly e: unknown } | undefined;

  /** `name` is the snapshot's. */
  constructor(
    private readonly name: string,
    private readonly storage: ObjectStorage,
    private readonly compression: Compression,
  ) {}

  /** Takes a part's bytes, which may change afterwards. */
  async add(content: PartContent, bytes: Uint8Array): Promise<void> {
    const part = this.#put(String(this.#parts.length).padStart(6, "0"), content, new Uint8Array(bytes));
    this.#parts.push(part);
    const settled: Promise<unknown> = part.then(
      () => this.#underWay.delete(settled),
      (e: unknown) => {
        this.#failure ??= { e };
        this.#underWay.delete(settled);
      },
    );
    this.#underWay.add(settled);
    if (this.#underWay.size >= UPLOADS_MAX) await Promise.race(this.#underWay);
    if (this.#failure) await this.finish();
  }

  /** Resolves with all parts once they are put. */
  async finish(): Promise<SnapshotPart[]> {
    await Promise.all(this.#underWay);
    if (this.#failure) throw this.#failure.e;
    return Promise.all(this.#parts);
  }

  async #put(name: string, content: PartContent, raw: Uint8Array): Promise<SnapshotPart> {
    const bytes = await this.compression.compress(raw);
    const sha256 = sha256Of(bytes);
    await this.storage.put(`${this.name}${name}`, bytes);
    return { name, content, bytes: bytes.length, bytes_raw: raw.length, sha256 };
  }
}

export const sha256Of = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
