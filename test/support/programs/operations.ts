import { join } from "node:path";
import { readView } from "../../../src/runtime/store/read-views/reading-views.ts";
import { rowMembers } from "../../../src/services/orders/state/order-row-json.ts";
import { SavedOrders } from "../../../src/services/orders/state/saved-orders.ts";
import { type Exit, spawnTied, type TiedProcess } from "./tied-process.ts";
import { repository } from "./repository.ts";

/** A command such as `bun run replay` in a process of its own, for `await using`. */
export interface Operation extends AsyncDisposable {
  readonly process: TiedProcess;
  output(): string;
  kill(signal: NodeJS.Signals): void;
  readonly exited: Promise<Exit>;
}

export function startOperation(
  command: "replay" | "redrive" | "archive",
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Operation {
  const { PATH, HOME, TMPDIR } = process.env;
  const tied = spawnTied([process.execPath, "src/tools/main.ts", command, ...args], {
    cwd: repository,
    env: { PATH, HOME, TMPDIR, ...env },
  });
  return {
    process: tied,
    output: () => tied.output(),
    kill: (signal) => tied.kill(signal),
    exited: tied.exited,
    [Symbol.asyncDispose]: async () => {
      tied.kill("SIGKILL");
      await tied.exited;
    },
  };
}

export async function runOperation(
  ...args: Parameters<typeof startOperation>
): Promise<{ readonly code: number | null; readonly output: string }> {
  await using operation = startOperation(...args);
  const { code } = await operation.exited;
  return { code, output: operation.output() };
}

/**
 * The rows of each partition's store, which are a function of the log's prefix. They can be read whether or not the
 * service runs.
 */
export async function orderRows(dataDir: string, topic: string): Promise<Record<string, unknown[]>> {
  const rows: Record<string, unknown[]> = {};
  for await (const path of new Bun.Glob(`state/*/order-service-0/${topic}.*.sqlite`).scan(dataDir)) {
    const name = path.slice(path.lastIndexOf(`${topic}.`) + topic.length);
    rows[name] = readView(join(dataDir, path), ({ files }) =>
      Array.from(new SavedOrders(files).rowsAfter(""), (row) => JSON.parse(`{${rowMembers(row)}}`) as unknown),
    );
  }
  return rows;
}
