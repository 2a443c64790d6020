import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { runBounded } from "../support/programs/tied-process.ts";
import { repository } from "../support/programs/repository.ts";

const SETTING = "/proc/sys/net/ipv4/tcp_migrate_req";
const RUN_MS_MAX = 90_000;
const STOPS = 6;
/**
 * A connection that the member has accepted, and whose request is still under way, is reset in any case: Bun cannot close
 * the listener alone. On a busy machine that is one in some runs of six stops; without the setting it is 8 to 29 in each.
 */
const RESET_MAX = 2;

/** Runs the churn in a network of its own, in which the setting may be changed. */
async function churn(migrates: boolean, signal: string): Promise<{ connections: number; broken: number }> {
  const script = `ip link set lo up && echo ${migrates ? 1 : 0} >${SETTING} && exec "$@"`;
  const command = [process.execPath, `${repository}/test/members/churn.ts`, signal, String(STOPS)];
  const { ok, output } = await runBounded(["unshare", "-n", "sh", "-c", script, "sh", ...command], RUN_MS_MAX);
  if (!ok) throw new Error(`The churn failed. It said:\n${output}`);
  return JSON.parse(output.trim().split("\n").at(-1)!);
}

const isPossible = existsSync(SETTING) && (await runBounded(["unshare", "-n", "true"], 5_000)).ok && Bun.which("ip") !== null;
if (!isPossible)
  console.warn(
    "\n!!! SKIPPED, THIS IS NOT PROVED HERE: with net.ipv4.tcp_migrate_req=1 no queued connection is lost: it takes Linux 5.14, iproute2, and the right to make a network namespace.\n",
  );

test.skipIf(!isPossible)(
  "with net.ipv4.tcp_migrate_req=1 a member that stops loses no connection that was queued",
  async () => {
    const { connections, broken } = await churn(true, "SIGTERM");
    expect(connections).toBeGreaterThan(1_000);
    expect(broken).toBeLessThanOrEqual(RESET_MAX);
  },
  RUN_MS_MAX,
);
