import type { ByteFile } from "../../src/runtime/store/byte-file.ts";
import type { Owner } from "./scheduler.ts";
import type { SimulatedFile } from "./simulated-file.ts";

export type StoreCall = "commit" | "write" | "sync";
/** Where a disk has room for some things and not for others, only some calls fail. */
export type FailingCalls = StoreCall | "any";

/**
 * Called before and after each commit of a store, and each write and sync of its files. The call fails if it returns
 * "fails" beforehand.
 */
export type OnStoreCall = (call: StoreCall, side: "before" | "after") => "fails" | undefined;

/** Thrown by a store whose process was killed in the middle of a call; nothing of the process runs after that. */
export class StoreCrash extends Error {}

/** What happens around the calls of one opened store. */
export interface Calls {
  readonly process: Owner | undefined;
  readonly syncTime_ms: () => number;
  readonly on: OnStoreCall;
}

export const noSpace = (): Error => Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
const closedFile = (): Error => Object.assign(new Error("the file is closed"), { code: "EBADF" });

/** A file of bytes that a process has open. */
export class OpenFile implements ByteFile {
  #isClosed = false;

  constructor(
    private readonly file: SimulatedFile,
    private readonly calls: Calls,
  ) {}

  get size(): number {
    return this.file.size;
  }

  read(into: Buffer, from: number, length: number, at: number): number {
    this.#requireOpen();
    return this.file.read(into, from, length, at);
  }

  /** A write that fails has written half. */
  write(bytes: Buffer, from: number, length: number, at: number): void {
    this.#requireOpen();
    const fails = this.calls.on("write", "before") === "fails";
    this.file.write(bytes, from, fails ? length >> 1 : length, at);
    if (fails) throw noSpace();
    this.calls.on("write", "after");
  }

  truncate(): void {
    throw new Error("no store shortens its files");
  }

  async sync(): Promise<void> {
    const { process, syncTime_ms, on } = this.calls;
    this.#requireOpen();
    const fails = on("sync", "before") === "fails";
    const mark = this.file.beginSync();
    if (process !== undefined) await process.sleep(syncTime_ms());
    this.#requireOpen();
    this.file.endSync(mark, !fails);
    if (fails) throw noSpace();
    on("sync", "after");
  }

  close(): void {
    this.#isClosed = true;
  }

  #requireOpen(): void {
    if (this.calls.process?.isDead) throw new StoreCrash("the process is dead");
    if (this.#isClosed) throw closedFile();
  }
}

/** A file of bytes that nobody may change. */
export class LookedAt implements ByteFile {
  constructor(private readonly file: SimulatedFile) {}

  get size(): number {
    return this.file.size;
  }

  read(into: Buffer, from: number, length: number, at: number): number {
    return this.file.read(into, from, length, at);
  }

  write(): void {
    throw new Error("a store that is only looked at is not written to");
  }

  truncate(): void {
    this.write();
  }

  async sync(): Promise<void> {
    this.write();
  }

  close(): void {}
}
