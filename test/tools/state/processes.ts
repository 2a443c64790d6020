import { join } from "node:path";
import { repository } from "../../support/programs/repository.ts";
import { spawnTied, type TiedProcess } from "../../support/programs/tied-process.ts";
import { waitUntil } from "../../support/wait-until.ts";

/** A process with a store open, which is killed when the scope is left. */
interface StoreProcess extends AsyncDisposable {
  readonly tied: TiedProcess;
}

/** A process that has the index open as a running cart does. Resolves when it has saved. */
export const runningCart = (path: string): Promise<StoreProcess> => started([path, "cart"]);

/** A process that lets no other one read the store. */
export const holderOf = (path: string): Promise<StoreProcess> => started([path, "alone"]);

/** A process that has the store open as an order service does that nothing happens in. Resolves when it has saved. */
export const idleService = (path: string): Promise<StoreProcess> => started([path, "service"]);

/** A process that saves each of so many orders with one event more, again and again. Resolves after the first save. */
export const writingService = (path: string, orders: number): Promise<StoreProcess> => started([path, "write", String(orders)]);

async function started(args: readonly string[]): Promise<StoreProcess> {
  const tied = spawnTied([process.execPath, join(import.meta.dir, "store-process.ts"), ...args], { cwd: repository });
  const isUp = () => {
    if (tied.exit()) throw new Error(`The process ended: ${tied.output()}`);
    return tied.output().includes("saved");
  };
  await waitUntil(() => `for a process to save; it said: ${tied.output()}`, isUp, { wait_ms_max: 20_000 });
  return {
    tied,
    [Symbol.asyncDispose]: async () => {
      tied.kill("SIGKILL");
      await tied.exited;
    },
  };
}
