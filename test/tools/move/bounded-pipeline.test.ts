import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { boundedPipeline } from "../../../src/tools/move/connect/bounded-pipeline.ts";

const pipelines = join(import.meta.dir, "../../../pipelines");
const ranges = [
  { partition: 0, from: 3, last: 9 },
  { partition: 11, from: 0, last: 4 },
];

for (const name of ["replay", "redrive", "archive"]) {
  const text = readFileSync(join(pipelines, `${name}.yaml`), "utf8");

  test(`${name}.yaml: one input per range, with the pipeline's own way to the brokers, and the rest byte for byte`, () => {
    const bounded = boundedPipeline(text, "orders.events", ranges);
    const [, ...rest] = text.split(/^pipeline:$/m);
    expect(bounded.endsWith(`\npipeline:${rest.join("pipeline:")}`)).toBe(true);
    expect(bounded.startsWith(text.slice(0, text.indexOf("\ninput:")))).toBe(true);
    const parsed = Bun.YAML.parse(bounded) as { input: unknown };
    const own = (Bun.YAML.parse(text) as { input: { redpanda: Record<string, unknown> } }).input.redpanda;
    const { topics: _topics, consumer_group: _group, ...connection } = own;
    expect(connection).toContainKeys(["seed_brokers", "tls", "sasl", "transaction_isolation_level"]);
    const child = (place: string, last: number) => ({
      read_until: {
        check: `metadata("kafka_offset").from_all().map_each(o -> o.number()).max() >= ${last}`,
        input: { redpanda: { ...connection, topics: [place] } },
      },
      processors: [{ mapping: `root = if @kafka_offset.number() > ${last} { deleted() }` }],
    });
    expect(parsed.input).toEqual({ broker: { inputs: [child("orders.events:0:3", 9), child("orders.events:11:0", 4)] } });
  });

  test(`${name}.yaml: a slow rate makes its batches small`, () => {
    const { input } = Bun.YAML.parse(boundedPipeline(text, "orders.events", ranges, 5_000)) as {
      input: { broker: { inputs: { read_until: { input: { redpanda: Record<string, unknown> } } }[] } };
    };
    for (const { read_until } of input.broker.inputs) expect(read_until.input.redpanda["max_yield_batch_bytes"]).toBe(5_000);
  });
}

test("a pipeline without such an input is refused", () => {
  expect(() => boundedPipeline(readFileSync(join(pipelines, "restore.yaml"), "utf8"), "orders.events", ranges)).toThrow(
    "no input `redpanda`",
  );
});
