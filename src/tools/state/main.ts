import { writeSync } from "node:fs";
import { readConfig } from "../../config/config.ts";
import { AppError } from "../../errors.ts";
import { systemClock } from "../../system/clock.ts";
import { EXIT_OK, EXIT_USAGE } from "../command.ts";
import { runState, STATE_USAGE } from "./state-command.ts";

const STDOUT = 1;
const WRITE_RETRY_MS = 5;
const clock = systemClock;

async function write(text: string): Promise<void> {
  for (let rest = Buffer.from(text); rest.length > 0;) {
    try {
      rest = rest.subarray(writeSync(STDOUT, rest));
    } catch (e) {
      if ((e as { code?: unknown }).code !== "EAGAIN") throw e;
      await clock.sleep(WRITE_RETRY_MS);
    }
  }
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    await write(STATE_USAGE);
    return EXIT_OK;
  }
  const tell = (sentence: string): void => console.error(sentence);
  try {
    return await runState(args, { dataDir: () => readConfig(process.env).data_dir, write, tell, clock });
  } catch (e) {
    // Whoever reads has read enough, such as `head`.
    if ((e as { code?: unknown }).code === "EPIPE") return EXIT_OK;
    if (!(e instanceof AppError)) throw e;
    tell(e.message);
    return EXIT_USAGE;
  }
}

process.exit(await main(process.argv.slice(2)));
