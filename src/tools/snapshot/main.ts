import { tmpdir } from "node:os";
import { readConfig } from "../../config/config.ts";
import { AppError } from "../../errors.ts";
import { zstd } from "../../runtime/snapshots/compression.ts";
import { Snapshots } from "../../runtime/snapshots/snapshots.ts";
import { openStorage } from "../../storage/open-storage.ts";
import { systemClock } from "../../system/clock.ts";
import { startFailure, writeForThisUserAlone } from "../../system/startup-checks.ts";
import { EXIT_OK, EXIT_USAGE } from "../command.ts";
import { runSnapshot, SNAPSHOT_USAGE } from "./snapshot-command.ts";

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(SNAPSHOT_USAGE);
    return EXIT_OK;
  }
  const tell = (sentence: string): void => console.error(sentence);
  try {
    const config = readConfig(process.env);
    const { snapshot_storage, snapshots_kept: kept } = config;
    if (snapshot_storage === undefined)
      throw new AppError(
        "CONFIG_INVALID",
        "SNAPSHOT_URL is not set: it says where the snapshots are, such as file:///var/backups/orders.",
      );
    const storage = openStorage(snapshot_storage, { clock: systemClock, newUuid: () => crypto.randomUUID() });
    const snapshots = new Snapshots({ storage, compression: zstd, clock: systemClock, random: Math.random, kept });
    const write = async (text: string): Promise<void> => {
      process.stdout.write(text);
    };
    return await runSnapshot(args, { config, snapshots, temporary: tmpdir(), clock: systemClock, write, tell });
  } catch (e) {
    if (!(e instanceof AppError)) throw e;
    tell(startFailure(e));
    return EXIT_USAGE;
  }
}

writeForThisUserAlone();
process.exitCode = await main(process.argv.slice(2));
