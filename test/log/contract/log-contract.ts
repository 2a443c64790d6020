import { afterAll, afterEach, describe } from "bun:test";
import type { Log } from "../../../src/log/port.ts";
import { appendContract } from "./append-contract.ts";
import { fencingContract } from "./fencing-contract.ts";
import { groupContract } from "./group-contract.ts";
import type { LogHarness } from "./harness.ts";
import { hindranceContract } from "./hindrance-contract.ts";
import { readContract } from "./read-contract.ts";
import { sendContract } from "./send-contract.ts";
import { topicContract } from "./topic-contract.ts";

/** What each part of the suite gets: `open` closes the handle after the test. */
export interface ContractContext {
  readonly harness: LogHarness;
  readonly open: () => Promise<Log>;
  /** Closes all handles of this test. */
  readonly closeAll: () => Promise<void>;
}

/** The suite that every adapter of the `Log` port passes. What a harness cannot provoke is skipped by name. */
export function logContract(name: string, makeHarness: () => LogHarness): void {
  describe(`the log contract: ${name}`, () => {
    const harness = makeHarness();
    const handles = new Set<Log>();
    const open = async (): Promise<Log> => {
      const log = await harness.open();
      handles.add(log);
      return log;
    };
    const closeAll = async (): Promise<void> => {
      await Promise.all([...handles].map((log) => log.close()));
      handles.clear();
    };
    const context: ContractContext = { harness, open, closeAll };
    afterEach(closeAll);
    afterAll(() => harness.dispose());

    describe("topics", () => topicContract(context));
    describe("append", () => appendContract(context));
    describe("send", () => sendContract(context));
    describe("hindrances", () => hindranceContract(context));
    describe("read", () => readContract(context));
    describe("fencing", () => fencingContract(context));
    describe("groups", () => groupContract(context));
  });
}
