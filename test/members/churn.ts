import { rawConnection } from "../support/http/raw-connection.ts";
import { memberPids } from "../support/programs/member-processes.ts";
import { startProgram } from "../support/programs/processes.ts";
import { waitUntil } from "../support/wait-until.ts";

/**
 * Connects anew for each request, as fast as it can, while one member after the other gets a signal. It prints how many
 * connections were made, and how many of them were broken. The test runs it in a network of its own.
 */
const [signal = "SIGTERM", times = "1"] = process.argv.slice(2) as [NodeJS.Signals?, string?];
const MEMBERS = 3;
const CLIENTS = 16;

await using program = await startProgram({ role: "producer", env: { MEMBERS: String(MEMBERS), LOG_LEVEL: "error" } });
await program.ready();
const over = new AbortController();
const counts = { connections: 0, broken: 0 };

async function client(): Promise<void> {
  while (!over.signal.aborted) {
    counts.connections++;
    try {
      const connection = await rawConnection(program.cartUrl);
      if ((await connection.ask("GET /nothing")) === undefined) counts.broken++;
      connection.close();
    } catch {
      counts.broken++;
    }
  }
}

/** Whether every member listens on the shared port. */
async function isWhole(): Promise<boolean> {
  const health = (await (await fetch(`${program.cartUrl}/health/ready`)).json()) as { members: { shares: boolean }[] };
  return health.members.every(({ shares }) => shares);
}

const clients = Array.from({ length: CLIENTS }, client);
for (let n = 0; n < Number(times); n++) {
  await waitUntil("for all members to be ready", isWhole, { wait_ms_max: 20_000, interval_ms: 100 });
  process.kill(memberPids(program.pid).get(n % MEMBERS)!, signal);
  await Bun.sleep(300);
}
over.abort();
await Promise.all(clients);
console.log(JSON.stringify(counts));
