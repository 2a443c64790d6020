import { expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "../../src/system/clock.ts";
import { AppError } from "../../src/errors.ts";
import { runArchive } from "../../src/tools/archive/archive-command.ts";
import { runRedrive } from "../../src/tools/redrive/redrive-command.ts";
import { runReplay } from "../../src/tools/replay/replay-command.ts";
import { operationsRig } from "./rig.ts";

test("a log that cannot be reached from the start on: nothing was done, and there is nothing to go on with", async () => {
  await using rig = await operationsRig(1);
  const away = () => Promise.reject(new AppError("LOG_UNAVAILABLE", "The broker at 127.0.0.1:9 does not answer."));
  const log = new Proxy(rig.log, { get: (_, name) => (name === "kind" ? "memory" : away) });
  const clock = { ...systemClock, now_ms: () => systemClock.now_ms() * 300 };
  const commands = [
    [runRedrive, "--yes"],
    [runReplay, ""],
    [runArchive, `--dir ${join(rig.dataDir, "archive")}`],
  ] as const;
  for (const [command, args] of commands) {
    expect(await rig.run(command, args, { log, clock })).toEqual({
      code: 2,
      said: "The broker at 127.0.0.1:9 does not answer.\n",
    });
  }
});
