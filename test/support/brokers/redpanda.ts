import { fileURLToPath } from "node:url";
import type { Attempt } from "./broker.ts";
import { brokerAnswers } from "./broker-probe.ts";
import { freePort } from "./ports.ts";
import { runBounded, spawnTied } from "../programs/tied-process.ts";
import { waitUntil } from "../wait-until.ts";

const composeFile = fileURLToPath(new URL("../../../compose.yaml", import.meta.url));
const answer_ms_max = 5_000;
/** The limit is long because the first start pulls the image. */
const up_ms_max = 300_000;
const down_ms_max = 60_000;
const start_ms_max = 60_000;

/** Starts compose.yaml's Redpanda as a Compose project of its own, beside one that a developer may be running. */
export async function startRedpanda(): Promise<Attempt> {
  const info = await runBounded(["docker", "info"], answer_ms_max);
  if (!info.ok) return { unavailable: "No Docker engine answers." };
  const version = await runBounded(["docker", "compose", "version"], answer_ms_max);
  if (!version.ok) return { unavailable: "Docker has no Compose plugin." };

  const port = await freePort();
  const brokers = `127.0.0.1:${port}`;
  const project = `order-processing-test-${process.pid}`;
  const env = { ...process.env, REDPANDA_PORT: String(port) };
  const compose = async (run_ms_max: number, ...args: string[]) => {
    const run = await runBounded(["docker", "compose", "-f", composeFile, "-p", project, ...args], run_ms_max, env);
    if (!run.ok) throw new Error(`docker compose ${args.join(" ")} failed. It said:\n${run.output}`);
  };
  const start = async () => {
    await compose(up_ms_max, "up", "--wait", "redpanda");
    await waitUntil(`for Redpanda to answer on ${brokers}`, () => brokerAnswers(brokers), { wait_ms_max: start_ms_max });
  };
  // This process does nothing; it is here for its keeper, which takes the project down if the run is killed.
  const lifeline = spawnTied(["sleep", "infinity"], {
    env,
    onOrphaned: 'docker compose -f "$1" -p "$2" down -v',
    onOrphanedArgs: [composeFile, project],
  });
  const dispose = async () => {
    await compose(down_ms_max, "down", "--volumes", "--timeout", "0");
    lifeline.kill("SIGKILL");
    await lifeline.exited;
  };

  try {
    await start();
  } catch (error) {
    await dispose();
    return { unavailable: `Redpanda did not start in Docker: ${String(error)}` };
  }
  return {
    broker: {
      brokers,
      kind: "redpanda",
      canRestart: true,
      kill: () => compose(down_ms_max, "kill", "--signal", "SIGKILL", "redpanda"),
      stop: () => compose(down_ms_max, "stop", "redpanda"),
      start,
    },
    dispose,
  };
}
