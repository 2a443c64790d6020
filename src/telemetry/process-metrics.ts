import type { ScrapedRegistry } from "./scraped-registry.ts";

/** Registers what the process takes of its machine, under the names that Prometheus' clients give it. */
export function processMetrics(registry: ScrapedRegistry): void {
  registry.gauge("process_resident_memory_bytes", "Memory of the process.", [], (gauge) => gauge.set(process.memoryUsage.rss()));
  registry.counter("process_cpu_seconds_total", "User and system time of the process.", [], (counter) => {
    const { user, system } = process.cpuUsage();
    counter.inc((user + system) / 1e6);
  });
}
