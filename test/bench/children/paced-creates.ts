import { argv } from "node:process";

/**
 * `bun paced-creates.ts <cart url> <creates per second> <seconds> <id prefix>`: sends creates at a rate, whether or not
 * earlier ones are answered, and prints a JSON line.
 */
const [url, rate, seconds, prefix] = argv.slice(2) as [string, string, string, string];
const tick_ms = 2;
const under_way_max = 2_000;
const total = Number(rate) * Number(seconds);
const started_ms = performance.now();
let sent = 0;
let answered = 0;
let not_ok = 0;

async function create(n: number): Promise<void> {
  const body = `{"order_id":"${prefix}${String(n).padStart(8, "0")}","number_of_items":3}`;
  try {
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/create-order`, { method: "POST", headers, body });
    await response.arrayBuffer();
    if (!response.ok) not_ok++;
  } catch {
    not_ok++;
  }
  answered++;
}

while (answered < total && performance.now() - started_ms < Number(seconds) * 2_000) {
  const due = Math.min(total, Math.floor(((performance.now() - started_ms) / 1_000) * Number(rate)));
  while (sent < due && sent - answered < under_way_max) void create(sent++);
  await Bun.sleep(tick_ms);
}
console.log(JSON.stringify({ done: answered, seconds: (performance.now() - started_ms) / 1_000, not_ok }));
process.exit(0);
