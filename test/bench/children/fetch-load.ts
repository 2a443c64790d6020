import { percentile } from "../figures.ts";

/**
 * `bun fetch-load.ts <url> <connections> <seconds> <id prefix> [keyed]`: does what create.lua does, where there is no wrk,
 * and prints the same JSON line.
 */
const [url, connections, seconds, prefix, keyed] = process.argv.slice(2) as [string, string, string, string, string?];
const latencies_ms: number[] = [];
let n = 0;
let notOk = 0;
let broken = 0;
const started_ms = performance.now();
const end_ms = started_ms + Number(seconds) * 1_000;

async function connection(): Promise<void> {
  while (performance.now() < end_ms) {
    const sent_ms = performance.now();
    const id = prefix + String(++n).padStart(8, "0");
    const body = `{"order_id":"${id}","number_of_items":3}`;
    try {
      const response = await fetch(`${url}/create-order`, {
        method: "POST",
        headers: { "content-type": "application/json", ...(keyed && { "idempotency-key": `"${id}"` }) },
        body,
      });
      await response.arrayBuffer();
      if (response.status !== 200) notOk++;
      latencies_ms.push(performance.now() - sent_ms);
    } catch {
      broken++;
    }
  }
}

await Promise.all(Array.from({ length: Number(connections) }, connection));
console.log(
  JSON.stringify({
    requests: latencies_ms.length,
    seconds: (performance.now() - started_ms) / 1_000,
    p50_ms: percentile(latencies_ms, 50),
    p99_ms: percentile(latencies_ms, 99),
    not_ok: notOk,
    broken,
  }),
);
