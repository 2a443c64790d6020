import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Log } from "../../../src/log/port.ts";
import { openSqliteLog } from "../../../src/log/sqlite/sqlite-log.ts";
import { systemClock } from "../../../src/system/clock.ts";
import { FileLock } from "../../../src/system/file-lock.ts";
import { seededRandom } from "../../simulation/scheduler.ts";
import { eventually } from "../contract/harness.ts";
import { type LogProcess, startLogProcess } from "./log-process.ts";

const TIMEOUT_MS = 120_000;
const PARTITIONS = 6;

let directory: string;
let path: string;
let log: Log;
const processes: LogProcess[] = [];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "sqlite-group-"));
  path = join(directory, "log.sqlite");
  log = openSqliteLog({ path, clock: systemClock, newUuid: () => crypto.randomUUID(), owner: "the test" });
  await log.createTopic("orders", PARTITIONS);
});

afterEach(async () => {
  await Promise.all(processes.splice(0).map((each) => each.end()));
  await log.close();
  rmSync(directory, { recursive: true });
});

const start = (...args: string[]): LogProcess => {
  const started = startLogProcess(path, ...args);
  processes.push(started);
  return started;
};
const hold = (): LogProcess => start("hold", "readers");

/** When each line was told, and what it says. */
const told = ({ lines }: LogProcess) =>
  lines.map((line) => {
    const [what = "", at = ""] = line.split(" at ");
    return { what, at_ms: Number(at) };
  });
const holds = (member: LogProcess): number[] => {
  const last =
    told(member)
      .findLast(({ what }) => what.startsWith("assigned"))
      ?.what.slice("assigned ".length) ?? "";
  return last === "" ? [] : last.split(",").map(Number);
};
const share = (members: readonly LogProcess[]) => () => {
  const all = members.map(holds);
  const sizes = all.map(({ length }) => length);
  return (
    new Set(all.flat()).size === PARTITIONS && all.flat().length === PARTITIONS && Math.max(...sizes) - Math.min(...sizes) <= 1
  );
};
const lockPath = () => {
  const lock = readdirSync(directory).find((name) => /\.readers\.[0-9a-f]{16}\.lock$/.test(name));
  return join(directory, lock ?? "none");
};

test(
  "three processes share; kill -9 of one or of the leader hands over within 2 s, a stopped one keeps what it has",
  async () => {
    const first = hold();
    await eventually("the first to have all", share([first]));
    const [second, third] = [hold(), hold()];
    await eventually("the three to share", share([first, second, third]));
    second.child.kill("SIGSTOP");
    await Bun.sleep(1_500);
    expect(share([first, second, third])()).toBe(true);
    let killed_ms = performance.now();
    await second.end();
    await eventually("the two to share", share([first, third]));
    expect(performance.now() - killed_ms).toBeLessThan(2_000);
    // The first process deals out.
    killed_ms = performance.now();
    await first.end();
    await eventually("the last one to have all", share([third]));
    expect(performance.now() - killed_ms).toBeLessThan(2_000);
  },
  TIMEOUT_MS,
);

test(
  "what a stopped process has is dealt to a newcomer, which has it only once that one goes on and lets go",
  async () => {
    const first = hold();
    await eventually("the first to have all", share([first]));
    first.child.kill("SIGSTOP");
    const second = hold();
    // Nobody deals out while the leader stands still, and what it has stays its own.
    await Bun.sleep(1_500);
    expect(holds(second)).toEqual([]);
    first.child.kill("SIGCONT");
    await eventually("both to share", share([first, second]));
    const letGo = told(first).find(({ what }) => what.split(",").length === PARTITIONS / 2)!;
    expect(told(second).every(({ what, at_ms }) => what === "assigned " || at_ms >= letGo.at_ms)).toBe(true);
  },
  TIMEOUT_MS,
);

test("what a member lets go it tells before it writes that down, and what it takes after that", async () => {
  const other = new Database(path, { readonly: true });
  const wrong: string[] = [];
  const member = () => {
    let had: readonly number[] = [];
    const membership = log.joinGroup({
      group: "readers",
      topic: "orders",
      localPositions: () => new Map(),
      listener: {
        onAssigned: ({ partitions, memberId }) => {
          const row = other.query<{ held: string }, [string]>("SELECT held FROM group_members WHERE id = ?").get(memberId);
          const written = JSON.parse(row?.held ?? "[]") as number[];
          for (const one of had) if (!partitions.includes(one) && !written.includes(one)) wrong.push(`${one} let go too late`);
          for (const one of partitions) if (!written.includes(one)) wrong.push(`${one} taken too soon`);
          had = partitions;
        },
        onLost: (reason) => wrong.push(reason),
        onWaiting: (holder) => wrong.push(holder),
      },
    });
    return { membership, had: () => had };
  };
  const first = member();
  await eventually("the first to have all", () => first.had().length === PARTITIONS);
  const second = member();
  await eventually("both to share", () => first.had().length === PARTITIONS / 2 && second.had().length === PARTITIONS / 2);
  await first.membership.leave();
  await eventually("the second to have all", () => second.had().length === PARTITIONS);
  expect(wrong).toEqual([]);
  other.close();
});

test(
  "whoever leaves hands over at once",
  async () => {
    const members = [hold(), hold()];
    await eventually("both to share", share(members));
    const left_ms = performance.now();
    await members[0]!.end("SIGTERM");
    await eventually("the other one to have all", share([members[1]!]));
    expect(performance.now() - left_ms).toBeLessThan(2_000);
  },
  TIMEOUT_MS,
);

test(
  "a process of an earlier version that has the group for itself is waited for, and gets it while no other is in it",
  async () => {
    const before = hold();
    await eventually("the group's lock", share([before]));
    const old = new FileLock(lockPath());
    expect(old.tryTake()).toBe(false);
    const beside = hold();
    await eventually("both to share", share([before, beside]));
    await before.end();
    expect(old.tryTake()).toBe(false);
    await beside.end();
    const alone = start("hold-alone", lockPath(), "readers");
    await eventually("the earlier version to hold it", () => alone.lines.includes("holds"));
    const next = hold();
    await eventually("the next one to wait", () => told(next).length === 1);
    expect(told(next)[0]?.what).toBe(`waiting pid ${alone.child.pid}`);
    await Bun.sleep(500);
    expect(holds(next)).toEqual([]);
    await alone.end();
    await eventually("the next one to have all", share([next]));
  },
  TIMEOUT_MS,
);

test(
  "a member whose lock's file was removed is told, and joins again",
  async () => {
    const members = [hold(), hold()];
    await eventually("both to share", share(members));
    for (const name of readdirSync(directory)) if (/member-\d+\.lock$/.test(name)) rmSync(join(directory, name));
    await eventually("one to be struck off", () => members.some(({ lines }) => lines.some((line) => line.startsWith("lost"))));
    await eventually("both to share again", share(members));
  },
  TIMEOUT_MS,
);

test(
  "whatever is started, stopped and killed, no partition ever has two owners",
  async () => {
    const random = seededRandom(Number(process.env["GROUP_SEED"] ?? 1));
    const [all, gone]: [LogProcess[], Map<LogProcess, number>] = [[hold()], new Map()];
    const now_ms = () => performance.timeOrigin + performance.now();
    for (let step = 0; step < 24; step++) {
      const living = all.filter((each) => !gone.has(each));
      const victim = living[Math.floor(random() * living.length)];
      if (victim === undefined || (living.length < 4 && random() < 0.5)) all.push(hold());
      else if (random() < 0.3) {
        victim.child.kill("SIGSTOP");
        setTimeout(() => victim.child.kill("SIGCONT"), random() * 800);
      } else {
        gone.set(victim, now_ms());
        // One that leaves may hold what it has until it has ended.
        void victim.end(random() < 0.7 ? "SIGKILL" : "SIGTERM").then(() => gone.set(victim, now_ms()));
      }
      await Bun.sleep(random() * 500);
    }
    if (all.every((each) => gone.has(each))) all.push(hold());
    await eventually("those that are left to share", () => share(all.filter((each) => !gone.has(each)))());
    for (let partition = 0; partition < PARTITIONS; partition++) {
      const owned = all.flatMap((each) => {
        const lines = told(each).filter(({ what }) => /^(assigned|lost)/.test(what));
        return lines.flatMap(({ what, at_ms }, n) => {
          const has = what.slice("assigned ".length).split(",").includes(String(partition));
          const until_ms = lines[n + 1]?.at_ms ?? Math.min(gone.get(each) ?? Number.POSITIVE_INFINITY, now_ms());
          return has ? [{ pid: each.child.pid, at_ms, until_ms }] : [];
        });
      });
      const inOrder = owned.toSorted((a, b) => a.at_ms - b.at_ms);
      for (const [n, one] of inOrder.entries()) {
        const next = inOrder[n + 1];
        if (next && next.pid !== one.pid) expect(next.at_ms).toBeGreaterThanOrEqual(one.until_ms);
      }
    }
  },
  TIMEOUT_MS,
);
