import { argv } from "node:process";

/**
 * `bun live-probe.ts <url>`: asks for /health/live every 10 ms until SIGTERM, and then prints a JSON line with the
 * longest wait for an answer, and how late this process's own timer was at worst, which tells of a busy machine.
 */
const [url] = argv.slice(2) as [string];
const interval_ms = 10;
const waits_ms: number[] = [];
let late_ms = 0;
let broken = 0;
/** When the request under way was sent. */
let asked_ms: number | undefined;

process.on("SIGTERM", () => {
  const waiting_ms = asked_ms === undefined ? 0 : performance.now() - asked_ms;
  const longest_ms = waits_ms.reduce((max, wait_ms) => Math.max(max, wait_ms), waiting_ms);
  console.log(JSON.stringify({ probes: waits_ms.length, longest_ms, late_ms, broken }));
  process.exit(0);
});

while (true) {
  const started_ms = performance.now();
  asked_ms = started_ms;
  try {
    const response = await fetch(`${url}/health/live`);
    await response.arrayBuffer();
    if (!response.ok) broken++;
  } catch {
    broken++;
  }
  const answered_ms = performance.now();
  asked_ms = undefined;
  waits_ms.push(answered_ms - started_ms);
  const pause_ms = Math.max(0, interval_ms - (answered_ms - started_ms));
  await Bun.sleep(pause_ms);
  late_ms = Math.max(late_ms, performance.now() - answered_ms - pause_ms);
}
