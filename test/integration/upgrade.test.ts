import { expect, test } from "bun:test";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { brokerSuite } from "../support/brokers/broker.ts";
import { CreateLoad } from "../support/cluster/create-load.ts";
import { namedTopic, type OrdersTopic } from "../support/cluster/orders-topic.ts";
import { orderDetails } from "../support/http/http.ts";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { repository } from "../support/programs/repository.ts";
import { standing } from "../support/programs/standing.ts";
import { tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";

/** The last version before members could follow partitions. */
const EARLIER_COMMIT = "32d4217";
const PARTITIONS = 4;
const TIMEOUT_MS = 240_000;
/** A partition that changes hands is not answered for until its next owner has looked at the log's end. */
const GAP_MS_MAX = 1_500;
/** What was acknowledged longer ago must be told. */
const KNOWN_AFTER_MS = 2_000;

/** The earlier version's source, or undefined if there is no repository that has it. */
async function earlierVersion(directory: string): Promise<string | undefined> {
  const archive = Bun.spawn(["git", "archive", EARLIER_COMMIT], { cwd: repository, stdout: "pipe", stderr: "ignore" });
  const unpacked = Bun.spawn(["tar", "-x", "-C", directory], { stdin: archive.stdout });
  if ((await archive.exited) !== 0 || (await unpacked.exited) !== 0) return undefined;
  symlinkSync(join(repository, "node_modules"), join(directory, "node_modules"));
  return directory;
}

/** How many partitions the program was given each time, in order. */
const assigned = (program: Program): number[] =>
  [...program.output().matchAll(/"(\d+) partitions assigned/g)].map(([, count]) => Number(count));

/** Clients that ask for orders of each partition at whichever order service answers, and how long none did. */
class Readers {
  readonly services = new Set<Program>();
  readonly gaps_ms = new Map<number, number>();
  answers = 0;
  #isOver = false;
  readonly #running: Promise<void>[];

  constructor(
    private readonly load: CreateLoad,
    partitions: number,
  ) {
    this.#running = Array.from({ length: partitions }, (_, partition) => this.#ask(partition));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #ask(partition: number): Promise<void> {
    let goodAt_ms = performance.now();
    while (!this.#isOver) {
      const until_ms = performance.now() - KNOWN_AFTER_MS;
      const known = this.load.acknowledged.filter((each) => each.partition === partition && each.answered_ms < until_ms);
      const order = known[Math.floor(Math.random() * known.length)];
      const told = await Promise.all(
        [...this.services].map((service) =>
          orderDetails(service.orderUrl, order!.orderId).then(
            ({ status }) => status,
            () => 0,
          ),
        ),
      );
      // Nobody may deny an order that was acknowledged.
      expect([partition, told.includes(404)]).toEqual([partition, false]);
      if (told.includes(200)) {
        const now_ms = performance.now();
        this.gaps_ms.set(partition, Math.max(this.gaps_ms.get(partition) ?? 0, now_ms - goodAt_ms));
        goodAt_ms = now_ms;
        this.answers++;
      }
      await Bun.sleep(30);
    }
  }
}

await brokerSuite("an upgrade of the order services", ({ brokers }) => {
  test(
    `from the version before standbys (${EARLIER_COMMIT}) to one with other stores: two of each under load, and no partition is without an answer for longer than a taking over takes`,
    async () => {
      await using dirs = new AsyncDisposableStack();
      const directory = dirs.use(await tempDir());
      const source = await earlierVersion(directory.path);
      if (source === undefined)
        throw new Error(`There is no commit ${EARLIER_COMMIT} here: fetch the whole history, then run this again.`);
      const orders: OrdersTopic = namedTopic(PARTITIONS, { KAFKA_BROKERS: brokers });
      const secret = dirs.use(await tempDir());
      const env = { ...orders.env, STANDBYS: "1", PEER_TOKEN_FILE: join(secret.path, "peer-token") };
      await Bun.write(env.PEER_TOKEN_FILE, crypto.randomUUID());
      const preload = join(repository, "test/support/programs/newer-version.ts");

      const cart = dirs.use(await startProgram({ role: "producer", env: orders.env, source }));
      await cart.ready();
      const start = async (what: object) => {
        const service = dirs.use(await startProgram({ role: "consumer", ...what }));
        await service.live();
        return service;
      };
      const owned = async (services: readonly Program[]) =>
        (await Promise.all(services.map(standing))).map(({ partitions }) => partitions);
      const shared = (services: readonly Program[], shares: readonly number[]) =>
        waitUntil(
          () => `the partitions to be shared out as ${shares.join()}`,
          async () => {
            const all = await Promise.all(services.map(standing));
            const isEach = all.every(({ status, partitions }, n) => status === "ready" && partitions.length === shares[n]);
            return isEach;
          },
          { wait_ms_max: 60_000 },
        );

      const older = [await start({ env: orders.env, source }), await start({ env: orders.env, source })];
      await shared(older, [2, 2]);
      await using load = new CreateLoad(cart, orders, 4);
      await waitUntil("many orders", () => load.acknowledged.length > 3_000, { wait_ms_max: 60_000 });
      const readers = new Readers(load, PARTITIONS);
      for (const service of older) readers.services.add(service);
      await Bun.sleep(2_000);

      const newer: Program[] = [];
      for (const n of [1, 2]) {
        const service = await start({ env, preload });
        newer.push(service);
        readers.services.add(service);
        await waitUntil(`newer ${n} to own a partition`, async () => ((await owned([service]))[0]?.length ?? 0) > 0, {
          wait_ms_max: 60_000,
        });
      }
      await shared([...older, ...newer], [1, 1, 1, 1]);
      // The topic is so small that a partition without state is soon read. So it is looked at what was dealt out.
      for (const service of newer) expect(assigned(service)[0]).toBe(0);
      await load.end();
      // Both versions have the same rows: what the newer ones follow is what the older ones own.
      await waitUntil(
        "the same rows at both versions",
        async () => {
          const theirs = (await owned(older)).flat();
          const ours = (await Promise.all(newer.map(standing))).flatMap(({ standbys = [] }) => standbys);
          return theirs.every(
            ({ partition, offset, digest }) =>
              ours.filter((one) => one.partition === partition && one.offset === offset && one.digest === digest).length ===
              newer.length,
          );
        },
        { wait_ms_max: 20_000 },
      );

      await using more = new CreateLoad(cart, orders, 2);
      for (const service of older) {
        readers.services.delete(service);
        service.kill("SIGTERM");
        await service.exited();
        await Bun.sleep(3_000);
      }
      await shared(newer, [2, 2]);
      await more.end();
      await Bun.sleep(1_000);
      await readers.stop();
      expect(load.counts()).toEqual({ "200": load.answers.length });
      console.log("longest without an answer, by partition:", Object.fromEntries(readers.gaps_ms), readers.answers, "answers");
      for (const partition of readers.gaps_ms.keys())
        expect([partition, readers.gaps_ms.get(partition)! < GAP_MS_MAX]).toEqual([partition, true]);
      expect(readers.answers).toBeGreaterThan(500);
    },
    TIMEOUT_MS,
  );
});
