import { describe, expect, test } from "bun:test";
import pino from "pino";
import type { FromMember, MemberView, ToMember } from "../../src/members/messages.ts";
import { type Exit, Supervisor } from "../../src/members/supervisor.ts";
import { ManualClock } from "../support/manual-clock.ts";

const STOP_WAIT_MS_MAX = 5_000;
const killed: Exit = { code: null, signal: "SIGKILL" };

/** A process that ends when the test says so, or when it is asked to and heeds that. */
class FakeProcess {
  static #pids = 100;
  readonly pid = FakeProcess.#pids++;
  readonly messages: ToMember[] = [];
  readonly signals: string[] = [];
  readonly #exited = Promise.withResolvers<Exit>();
  readonly exited = this.#exited.promise;

  constructor(
    readonly member: number,
    readonly say: (message: FromMember) => void,
    private readonly heedsSigterm: boolean,
  ) {}

  send(message: ToMember): void {
    this.messages.push(message);
  }

  kill(signal: "SIGTERM" | "SIGKILL"): void {
    this.signals.push(signal);
    if (signal === "SIGKILL") this.end(killed);
    else if (this.heedsSigterm) this.end({ code: 0, signal: null });
  }

  end(exit: Exit): void {
    this.#exited.resolve(exit);
  }

  listen(): void {
    this.say({ kind: "listening", urls: { cart: `http://127.0.0.1:${9_000 + this.member}` } });
  }

  /** What it was told last of all members. */
  get views(): readonly MemberView[] {
    const last = this.messages.findLast((message) => message.kind === "members");
    return last?.kind === "members" ? last.members : [];
  }

  get wasToldToShare(): boolean {
    return this.messages.some(({ kind }) => kind === "share");
  }
}

interface RigOptions {
  readonly heedsSigterm?: boolean;
  readonly startFails?: (starts: number) => boolean;
}

/** A supervisor of fake processes. */
class Rig {
  readonly clock = new ManualClock();
  readonly processes: FakeProcess[] = [];
  readonly lines: { readonly level: number; readonly msg: string }[] = [];
  readonly supervisor: Supervisor;
  code: number | undefined;
  #starts = 0;

  constructor(members: number, { heedsSigterm = true, startFails = () => false }: RigOptions = {}) {
    this.supervisor = new Supervisor({
      members,
      services: ["cart"],
      startMember: (member, onMessage) => {
        if (startFails(this.#starts++)) throw new Error("EAGAIN");
        const process = new FakeProcess(member, onMessage, heedsSigterm);
        this.processes.push(process);
        return process;
      },
      clock: this.clock,
      random: () => 1,
      logger: pino({ level: "info" }, { write: (line: string) => void this.lines.push(JSON.parse(line)) }),
      stop_wait_ms_max: STOP_WAIT_MS_MAX,
    });
    void this.supervisor.ended.then((code) => (this.code = code));
    this.supervisor.start();
  }

  /** The process that is the member now. */
  at(member: number): FakeProcess {
    return this.processes.findLast((process) => process.member === member)!;
  }

  async end(member: number, exit: Exit): Promise<void> {
    this.at(member).end(exit);
    await this.clock.pass(0);
  }
}

describe("a member that ends", () => {
  test("is started again after a wait that doubles, and takes no other along", async () => {
    const rig = new Rig(3);
    await rig.clock.pass(20_000);
    for (const wait_ms of [200, 400, 800]) {
      await rig.end(1, killed);
      const before = rig.processes.length;
      await rig.clock.pass(wait_ms - 1);
      expect(rig.processes).toHaveLength(before);
      await rig.clock.pass(1);
      expect(rig.processes).toHaveLength(before + 1);
      expect(rig.at(1)).toBe(rig.processes.at(-1)!);
    }
    expect(rig.processes.filter(({ member }) => member !== 1)).toHaveLength(2);
    expect(rig.processes.flatMap(({ signals }) => signals)).toEqual([]);
    expect(rig.code).toBeUndefined();
  });

  test("waits little again once it has run for long", async () => {
    const rig = new Rig(2);
    for (let times = 0; times < 4; times++) {
      await rig.end(0, killed);
      await rig.clock.pass(30_000);
    }
    await rig.clock.pass(10_000);
    await rig.end(0, killed);
    const before = rig.processes.length;
    await rig.clock.pass(200);
    expect(rig.processes).toHaveLength(before + 1);
  });

  test("is tried for ever while another one lives, however often it ends at once, and the other one did", async () => {
    const rig = new Rig(2);
    for (let times = 1; times <= 5; times++) {
      await rig.end(0, { code: 1, signal: null });
      await rig.clock.pass(30_000);
    }
    for (let times = 1; times <= 20; times++) {
      await rig.clock.pass(30_000);
      await rig.end(1, { code: 1, signal: null });
    }
    await rig.clock.pass(30_000);
    expect(rig.processes.filter(({ member }) => member === 1)).toHaveLength(21);
    expect(rig.code).toBeUndefined();
  });

  test("by exit code 2 is not started again, and the others go on", async () => {
    const rig = new Rig(2);
    await rig.end(0, { code: 2, signal: null });
    await rig.clock.pass(60_000);
    expect(rig.processes).toHaveLength(2);
    expect(rig.code).toBeUndefined();
    expect(rig.at(1).views[0]).toMatchObject({ member: 0, state: "ended" });
  });

  test("because the system starts no process now is started again, too", async () => {
    const rig = new Rig(1, { startFails: (starts) => starts === 0 });
    expect(rig.processes).toHaveLength(0);
    await rig.clock.pass(200);
    expect(rig.processes).toHaveLength(1);
  });
});

describe("the supervisor ends", () => {
  test("with 2 once no member could begin, since a loop would change no setting", async () => {
    const rig = new Rig(2);
    for (const member of [0, 1]) await rig.end(member, { code: 2, signal: null });
    expect(rig.code).toBe(2);
    await rig.clock.pass(60_000);
    expect(rig.processes).toHaveLength(2);
  });

  test("with 1 and a sentence once every member has ended five times in a row soon after its start", async () => {
    const rig = new Rig(2);
    for (let times = 1; times <= 5; times++) {
      expect(rig.code).toBeUndefined();
      for (const member of [0, 1]) await rig.end(member, { code: 1, signal: null });
      await rig.clock.pass(9_000);
    }
    expect(rig.code).toBe(1);
    expect(rig.processes).toHaveLength(10);
    expect(rig.lines.at(-1)!.msg).toStartWith("Each member ended 5 times in a row within 10 s of its start");
  });

  test("with 0 after SIGTERM to all, and starts no member meanwhile", async () => {
    const rig = new Rig(3);
    await rig.end(2, killed);
    rig.supervisor.stop();
    rig.supervisor.stop();
    await rig.clock.pass(60_000);
    expect(rig.code).toBe(0);
    expect(rig.processes.map(({ signals }) => signals)).toEqual([["SIGTERM"], ["SIGTERM"], []]);
  });

  test("with 1 after it has killed a member that did not stop in time", async () => {
    const rig = new Rig(2, { heedsSigterm: false });
    rig.supervisor.stop();
    rig.at(0).end({ code: 0, signal: null });
    await rig.clock.pass(STOP_WAIT_MS_MAX - 1);
    expect(rig.at(1).signals).toEqual(["SIGTERM"]);
    await rig.clock.pass(1);
    await rig.clock.pass(0);
    expect(rig.at(1).signals).toEqual(["SIGTERM", "SIGKILL"]);
    expect(rig.code).toBe(1);
  });

  test("with 0 where a member was stopped before it handled the signal", async () => {
    const rig = new Rig(1, { heedsSigterm: false });
    rig.supervisor.stop();
    await rig.end(0, { code: null, signal: "SIGTERM" });
    expect(rig.code).toBe(0);
  });
});

describe("the shared port", () => {
  test("is left to whoever is ready first; a member that is not is told to take it only if nobody has", async () => {
    const rig = new Rig(2);
    rig.at(0).listen();
    rig.at(1).listen();
    await rig.clock.pass(500);
    rig.at(1).say({ kind: "shared", service: "cart" });
    await rig.clock.pass(60_000);
    expect(rig.processes.filter(({ wasToldToShare }) => wasToldToShare)).toEqual([]);
  });

  test("is taken by one that is not ready after a second, so that the port says why", async () => {
    const rig = new Rig(2);
    rig.at(1).listen();
    await rig.clock.pass(500);
    rig.at(0).listen();
    await rig.clock.pass(500);
    expect(rig.processes.map(({ wasToldToShare }) => wasToldToShare)).toEqual([true, false]);
    await rig.clock.pass(60_000);
    expect(rig.at(0).messages.filter(({ kind }) => kind === "share")).toHaveLength(1);
  });

  test("is taken by another when the only one that listens there ends", async () => {
    const rig = new Rig(2);
    for (const member of [0, 1]) rig.at(member).listen();
    rig.at(0).say({ kind: "shared", service: "cart" });
    await rig.end(0, killed);
    await rig.clock.pass(1_000);
    expect(rig.at(1).wasToldToShare).toBe(true);
  });
});

test("every member is told what is known of all", async () => {
  const rig = new Rig(2);
  rig.at(0).listen();
  rig.at(0).say({ kind: "shared", service: "cart" });
  const url = { cart: "http://127.0.0.1:9000" };
  expect(rig.at(1).views).toEqual([
    { member: 0, state: "listening", restarts: 0, urls: url, shared: ["cart"] },
    { member: 1, state: "starting", restarts: 0, urls: {}, shared: [] },
  ]);
  await rig.end(1, killed);
  expect(rig.at(0).views[1]).toEqual({ member: 1, state: "waiting", restarts: 0, urls: {}, shared: [] });
  await rig.clock.pass(200);
  expect(rig.at(0).views[1]).toMatchObject({ state: "starting", restarts: 1 });
});
