import { parseArgs } from "node:util";
import { fuzzHttp } from "./http-fuzz.ts";

const USAGE = `Usage: bun run fuzz:http [--requests N] [--seed N]

Sends N requests (default 200000), made up from a seed (default a new one), to a real program: odd methods, hosts, paths, escapes, headers, bodies and
framing. Exit code 1 where one is answered 5xx other than 503 and Bun's own 505, or not at all, or is logged as an error. A seed always gives the same requests.`;

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "200000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) console.log(USAGE);
else {
  console.log(`Seed ${values.seed}`);
  const { requests, statuses, failures } = await fuzzHttp(Number(values.seed), Number(values.requests), (done) =>
    process.stderr.write(`\r${done} `),
  );
  console.log(
    `\n${requests} requests: ${[...statuses]
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([status, count]) => `${count} × ${status}`)
      .join(", ")}`,
  );
  for (const failure of failures) console.log(`\n${failure}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
