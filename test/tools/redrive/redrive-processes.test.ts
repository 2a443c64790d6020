import { expect, test } from "bun:test";
import { type Backing, readAll, totalLength } from "../../support/brokers/foreign.ts";
import { pythonCreate } from "../../support/events/python-events.ts";
import { orderDetails } from "../../support/http/http.ts";
import { eachWay, type Way } from "../../support/programs/operation-ways.ts";
import { runOperation, startOperation } from "../../support/programs/operations.ts";
import { startProgram } from "../../support/programs/processes.ts";
import { headerOf, readExact } from "../../support/events/records.ts";
import { createTopic } from "../../support/brokers/topics.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TIMEOUT_MS = 180_000;
const PARTITIONS = 12;

function redriveSuite(way: Way): void {
  const redrive = async (backing: Backing, ...args: string[]) => {
    const { code, output } = await runOperation("redrive", [...way.args, "--yes", ...args], way.env(backing));
    expect({ code, output: code === 0 ? "" : output }).toEqual({ code: 0, output: "" });
    return output;
  };

  test(
    "poison that stays bad comes back as a letter as often as allowed, and ends in the parking topic, once; what is good by now is applied",
    async () => {
      await using backing = await way.open();
      const parking = `${backing.topic}.parked`;
      await using program = await startProgram({ role: "consumer", env: backing.env, dataDir: backing.dataDir });
      await program.ready();
      // This letter is from an older consumer, which refused a record that this one takes.
      const letter = {
        partition: 5,
        key: "ORD-5",
        value: pythonCreate("ORD-5"),
        timestamp_ms: Date.now(),
        headers: Object.entries({ reason: "wrong_shape", detail: "?", topic: backing.topic, partition: "5", offset: "0" }).map(
          ([name, value]) => [`x-dead-letter-${name}`, value] as const,
        ),
      };
      await backing.log.producer().append(backing.deadLetterTopic, [letter]);
      await backing.produce([{ partition: 3, key: "ORD-3", value: "not json", headers: { mine: "1" } }]);
      const lettersAre = (count: number) =>
        waitUntil(`for ${count} letters`, async () => (await readAll(backing.log, backing.deadLetterTopic)).length === count, {
          wait_ms_max: 30_000,
        });
      await lettersAre(2);
      for (const redrives of [1, 2, 3]) {
        await redrive(backing);
        await lettersAre(2 + redrives);
        const last = (await readExact(backing.log, backing.deadLetterTopic)).findLast(({ value }) => value === "not json")!;
        expect(headerOf(last, "x-redrive-count")).toBe(String(redrives));
        expect(headerOf(last, "x-dead-letter-reason")).toBe("not_json");
        expect(headerOf(last, "mine")).toBe("1");
      }
      expect((await orderDetails(program.orderUrl, "5")).body.order).toMatchObject({ orderId: "ORD-5", totalAmount: 1235.43 });
      // None of the earlier letters is redriven again.
      for (let again = 0; again < 2; again++) await redrive(backing);
      const [parked, ...more] = await readExact(backing.log, parking);
      expect(parked).toMatchObject({ partition: 3, key: "ORD-3", value: "not json" });
      expect([
        headerOf(parked!, "x-redrive-count"),
        headerOf(parked!, "mine"),
        headerOf(parked!, "x-dead-letter-reason"),
      ]).toEqual(["3", "1", "not_json"]);
      expect(more).toEqual([]);
      await lettersAre(5);
    },
    TIMEOUT_MS,
  );

  test(
    "killed in the middle, the same command takes the letters that are left; none goes back twice",
    async () => {
      await using backing = await way.open();
      await createTopic(backing.log, backing.topic, PARTITIONS);
      await createTopic(backing.log, backing.deadLetterTopic, PARTITIONS);
      const producer = backing.log.producer();
      const letters = Array.from({ length: 1_200 }, (_, n) => ({
        partition: n % PARTITIONS,
        key: `ORD-${n}`,
        value: pythonCreate(`ORD-${n}`),
        timestamp_ms: 1_795_000_000_000 + n,
        headers: Object.entries({
          reason: n % 2 ? "not_json" : "wrong_shape",
          topic: backing.topic,
          partition: String(n % PARTITIONS),
          offset: "0",
        }).map(([name, value]) => [`x-dead-letter-${name}`, value] as const),
      }));
      for (let at = 0; at < letters.length; at += 300)
        await producer.append(backing.deadLetterTopic, letters.slice(at, at + 300));
      {
        await using operation = startOperation(
          "redrive",
          [...way.args, "--yes", "--reason", "not_json", "--rate", "100"],
          way.env(backing),
        );
        await waitUntil(
          () => operation.output(),
          async () => (await totalLength(backing.log, backing.topic)) > 50,
          { wait_ms_max: 60_000 },
        );
        operation.kill("SIGKILL");
        await operation.exited;
      }
      expect((await readExact(backing.log, backing.topic)).length).toBeLessThan(600);
      await redrive(backing, "--reason", "not_json");
      const went = (await readExact(backing.log, backing.topic)).map(({ key }) => key);
      const wanted = letters.filter((_, n) => n % 2).map(({ key }) => key);
      expect(new Set(went)).toEqual(new Set(wanted));
      if (way.kind !== "connect") expect(went).toHaveLength(wanted.length);
    },
    TIMEOUT_MS,
  );
}

await eachWay("redrive", redriveSuite);
