import { expect, test } from "bun:test";
import { systemClock } from "../../../src/system/clock.ts";
import { runConnect } from "../../../src/tools/move/connect/connect-run.ts";
import { MemoryBroker } from "../../log/memory/memory-log.ts";

const env = {
  log: new MemoryBroker({ clock: systemClock, newUuid: () => crypto.randomUUID() }).connect("test"),
  clock: systemClock,
  random: Math.random,
  backoff: { backoff_ms_min: 1, backoff_ms_max: 5 },
  log_name: "in memory",
  outage_ms_max: 120_000,
  topic_replication: undefined,
  signal: new AbortController().signal,
};
/** Runs a script in place of Redpanda Connect. */
const run = (script: string) =>
  runConnect(env, {
    program: { name: "a script", command: () => ["sh", "-c", script], onOrphaned: () => undefined },
    programEnv: { PATH: process.env["PATH"] },
    kafka: { brokers: ["127.0.0.1:1"], tls: false, sasl: undefined },
    pipeline: "",
    settings: {},
    look: async () => 0,
  });

test("what the broker refuses for good ends a run at once, with the broker's word for it, although Connect tries for ever", async () => {
  const said =
    'level=error msg="Failed to send message to redpanda: INVALID_TIMESTAMP: The timestamp of the message is out of range."';
  const began_ms = systemClock.now_ms();
  await expect(run(`echo '${said}' >&2; exec sleep 60`)).rejects.toMatchObject({
    code: "APPEND_REFUSED",
    message:
      "The broker refuses what Redpanda Connect asks of it: INVALID_TIMESTAMP: The timestamp of the message is out of range.",
  });
  expect(systemClock.now_ms() - began_ms).toBeLessThan(10_000);
});

test("what may pass is left to Connect", async () => {
  await run('echo "level=error msg=NOT_LEADER_FOR_PARTITION: This server is not the leader" >&2; sleep 1');
});
