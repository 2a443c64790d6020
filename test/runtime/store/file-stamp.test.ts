import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { FileStamp, STAMP_BYTES } from "../../../src/runtime/store/file-stamp.ts";
import { completeTables } from "../../../src/runtime/store/position/position-table.ts";
import { MemoryFile } from "../../support/stores/memory-file.ts";
import { throwsDamage } from "../../support/stores/throws-damage.ts";

const AT = 64;

/** A database with its generation alone, and a file with stamps. */
class Stamped {
  readonly db = new Database(":memory:", { strict: true });
  file = new MemoryFile();
  identity: number | undefined = 1;

  constructor() {
    this.db.run("CREATE TABLE position (partition INTEGER PRIMARY KEY, next_offset INTEGER)");
    completeTables(this.db);
  }

  open(): FileStamp {
    return new FileStamp({ db: this.db, identity: this.identity }, this.file, "records", (at) => at ?? AT);
  }

  stamp(): void {
    this.open().write();
  }

  commit(): void {
    this.open().record();
    this.db.run(
      "INSERT INTO position (partition, generation) VALUES (0, 1) ON CONFLICT DO UPDATE SET generation = generation + 1",
    );
  }

  save(times = 1): void {
    for (let n = 0; n < times; n++) {
      this.stamp();
      this.commit();
    }
  }

  setGeneration(generation: number | null): void {
    this.db.run("UPDATE position SET generation = ?", [generation]);
  }

  get isDamaged(): boolean {
    return throwsDamage(() => this.open());
  }
}

describe("a file's stamp", () => {
  test("is the database's generation, or the next where a save was not committed", () => {
    const store = new Stamped();
    expect(store.isDamaged).toBe(false);
    for (let n = 0; n < 5; n++) {
      store.stamp();
      expect(store.isDamaged).toBe(false);
      store.stamp();
      store.commit();
      expect(store.isDamaged).toBe(false);
    }
  });

  test.each([
    [4, true],
    [5, false],
    [6, false],
    [7, false],
    [8, true],
    [9, true],
  ])("is of generation 7, the database of %d: damage is %p", (generation, isDamaged) => {
    const store = new Stamped();
    store.save(7);
    store.setGeneration(generation);
    expect(store.isDamaged).toBe(isDamaged);
  });

  test("that is written in part, from either end, is as if it had not been written", () => {
    for (const generation of [2, 3, 4, 5, 254, 255])
      for (let at = AT; at <= AT + STAMP_BYTES; at++) {
        const store = new Stamped();
        store.save(generation);
        const before = store.file.toBuffer();
        store.stamp();
        const after = store.file.toBuffer();
        for (const [head, tail] of [
          [before, after],
          [after, before],
        ] as const) {
          store.file.write(Buffer.concat([head.subarray(0, at), tail.subarray(at)]), 0, before.length, 0);
          expect(store.isDamaged).toBe(false);
        }
      }
  });

  test("is another store's where its identity is, unless one of them is not known", () => {
    const isTaken = (written: number | undefined, opened: number | undefined): boolean => {
      const store = new Stamped();
      store.identity = written;
      store.save(3);
      store.identity = opened;
      return !store.isDamaged;
    };
    expect([isTaken(7, 7), isTaken(undefined, 7), isTaken(7, undefined)]).toEqual([true, true, true]);
    expect([isTaken(7, 8), isTaken(2 ** 32 - 1, 1)]).toEqual([false, false]);
  });

  test("is damage where it is gone, or where the database does not say where it is", () => {
    const gone = new Stamped();
    gone.save(3);
    gone.file = new MemoryFile();
    expect(gone.isDamaged).toBe(true);
    const lost = new Stamped();
    lost.save(3);
    lost.db.run("DELETE FROM stamps");
    expect(lost.isDamaged).toBe(true);
  });

  test("is written anew where a store begins to have one, whatever was there", () => {
    const store = new Stamped();
    store.save(7);
    store.db.run("DELETE FROM stamps");
    store.db.run("DELETE FROM position");
    store.save();
    expect(store.isDamaged).toBe(false);
  });

  test("takes one write of 16 bytes a save", () => {
    const store = new Stamped();
    store.save();
    const before = store.file.bytesWritten;
    store.save(10);
    expect(store.file.bytesWritten - before).toBe(160);
  });
});
