import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { validate } from "dockerfile-utils";
import manifest from "../../package.json";
import { readConfig } from "../../src/config/config.ts";
import { bunSettings } from "../support/programs/processes.ts";
import { type TempDir, tempDir } from "../support/stores/temp-dir.ts";
import { waitUntil } from "../support/wait-until.ts";
import { readProject } from "./compose.ts";
import { type Container, newVolume, noContainers, startContainer } from "./container.ts";
import { addBase, buildImage, type Image, instructionsOf } from "./image.ts";
import { repository } from "../support/programs/repository.ts";

const dockerfile = readFileSync(join(repository, "deploy/Dockerfile"), "utf8");
const instructions = instructionsOf(dockerfile);
const TIMEOUT_MS = 60_000;
const build_ms_max = 120_000;
const healthy_ms_max = 30_000;
const unavailable = await noContainers();

describe("the Dockerfile", () => {
  // dockerfile-utils has the checks of the Docker language server that editors use, and is kept up with it; hadolint
  // is in no npm package.
  test("passes the linter, which finds what is wrong", () => {
    for (const wrong of [
      "FROM a:1\nRUNN a",
      "FROM a:1\nEXPOSE x",
      'FROM a:1\nHEALTHCHECK --every=1s CMD ["a"]',
      "FROM a:1\nWORKDIR app",
      "FROM a:1\nCMD ['a']",
    ]) {
      expect({ wrong, found: validate(wrong).length }).not.toEqual({ wrong, found: 0 });
    }
    expect(validate(dockerfile).map(({ message }) => message)).toEqual([]);
  });

  test("is built on the Bun that package.json names and the tests run on, without a shell in what runs at last", () => {
    const bases = instructions.filter(({ keyword }) => keyword === "FROM").map(({ rest }) => rest.split(" ")[0]);
    expect(new Set(bases)).toEqual(new Set([`oven/bun:${manifest.devDependencies.bun}-slim`]));
    expect(Bun.version).toBe(manifest.devDependencies.bun);
    const lastStage = instructions.slice(instructions.findLastIndex(({ keyword }) => keyword === "FROM"));
    expect(lastStage.some(({ keyword }) => keyword === "RUN")).toBe(false);
  });
});

describe("the image", () => {
  let directory: TempDir;
  let image: Image;

  beforeAll(async () => {
    directory = await tempDir();
    const bin = join(directory.path, "bin");
    mkdirSync(bin);
    symlinkSync(process.execPath, join(bin, "bun"));
    image = buildImage(dockerfile, repository, directory.path, bin);
  }, build_ms_max);
  afterAll(() => directory[Symbol.asyncDispose]());

  test("has the program, what it needs to run, an empty volume, and nothing else", () => {
    expect(readdirSync(image.root).toSorted()).toEqual(["app", "data"]);
    expect(readdirSync(join(image.root, "app")).toSorted()).toEqual(["node_modules", "package.json", "src"]);
    expect(readdirSync(join(image.root, "data"))).toEqual([]);
    const own = readdirSync(join(image.root, "app/src"), { recursive: true, encoding: "utf8" });
    expect(own.filter((name) => name.includes(".") && !/\.(ts|patch|html|css)$/.test(name))).toEqual([]);
    const installed = readdirSync(join(image.root, "app/node_modules"));
    expect(installed).toEqual(expect.arrayContaining(Object.keys(manifest.dependencies).map((name) => name.split("/")[0])));
    expect(installed.filter((name) => name in manifest.devDependencies)).toEqual([]);
  });

  test("has kafkajs as it is patched here", () => {
    const [[name, patch]] = Object.entries(manifest.patchedDependencies) as [[string, string]];
    const files = [...readFileSync(join(repository, patch), "utf8").matchAll(/^\+\+\+ b\/(.*)$/gm)].map(([, file]) => file!);
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      const path = join("node_modules", name.split("@")[0]!, file);
      expect(readFileSync(join(image.root, "app", path), "utf8")).toBe(readFileSync(join(repository, path), "utf8"));
    }
  });

  test("listens on the default ports for all addresses, keeps its state in its volume, and is not root", () => {
    const config = readConfig(image.env);
    expect(image.ports).toEqual([config.cart_port, config.order_port]);
    expect(image.ports).toEqual([readConfig({}).cart_port, readConfig({}).order_port]);
    expect(config.host).toBe("0.0.0.0");
    expect(image.volumes).toEqual([config.data_dir]);
    expect(image.user.uid).toBeGreaterThanOrEqual(1_000);
  });

  test("gives Bun the settings that the scripts give it", () => {
    expect(Object.keys(bunSettings)).toEqual(["BUN_JSC_forceRAMSize"]);
    expect(image.env).toMatchObject(bunSettings);
  });

  test("its health check ends before it is cut off", () => {
    const source = readFileSync(join(repository, "src/healthcheck.ts"), "utf8");
    const answer_ms_max = Number(/ANSWER_MS_MAX = ([\d_]+);/.exec(source)![1]!.replace("_", ""));
    expect(Number.parseInt(image.healthcheck.flags.get("timeout")!) * 1_000).toBeGreaterThan(answer_ms_max);
  });

  const services = readProject([join(repository, "compose.yaml")]).services;

  containerSuite("run as it is", () => {
    let volumes = 0;
    const volume = () => newVolume(image, join(directory.path, `volume-${volumes++}`));
    beforeAll(() => addBase(image));

    const health = (container: Container) => container.exec(image.healthcheck.command);
    const healthy = (container: Container) =>
      waitUntil(
        () => `for the image's health check to be 0. The container said:\n${container.process.output()}`,
        async () => {
          const exit = container.process.exit();
          if (exit) throw new Error(`The container ended (${exit.code ?? exit.signal}). It said:\n${container.process.output()}`);
          return (await health(container)).ok;
        },
        { wait_ms_max: healthy_ms_max, interval_ms: 200 },
      );
    const request = async (container: Container, url: string, body?: object) => {
      const options = body && { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } };
      const code = `const r = await fetch(${JSON.stringify(url)}, ${JSON.stringify(options ?? {})}); console.log(r.status, await r.text())`;
      return (await container.exec(["bun", "-e", code])).output;
    };
    const details = "http://127.0.0.1:8001/order-details?orderId=ORD-123";

    test(
      "without any setting it is healthy, takes an order and answers it, without rights, and with its volume the only place to write",
      async () => {
        await using container = startContainer(image, volume());
        await healthy(container);
        const order = { order_id: "123", number_of_items: 3 };
        expect(await request(container, "http://127.0.0.1:8000/create-order", order)).toStartWith("200 ");
        await waitUntil("for the order", async () => (await request(container, details)).startsWith("200 "));
        expect(await request(container, "http://127.0.0.1:8001/")).toMatch(/^200 <!doctype html>/i);

        const status = readFileSync(`/proc/${container.pid()}/status`, "utf8");
        const { uid, gid } = image.user;
        expect(status).toMatch(new RegExp(`^Uid:(\\s${uid}){4}$`, "m"));
        expect(status).toMatch(new RegExp(`^Gid:(\\s${gid}){4}$`, "m"));
        expect(status).toMatch(/^CapEff:\s0+$/m);
        expect(status).toMatch(/^NoNewPrivs:\s1$/m);
        expect(status).toMatch(/^NSpid:\s\d+\s1$/m);

        const tried = ["/", "/app", "/app/src", "/app/node_modules", "/tmp", "/usr/local/bin", "/data"];
        const code = `
          for (const path of ${JSON.stringify(tried)}) {
            try { require("node:fs").writeFileSync(path + "/file", ""); console.log(path); } catch (e) { console.log(path, e.code); }
          }`;
        const { output } = await container.exec(["bun", "-e", code]);
        expect(output.trim().split("\n").toSorted()).toEqual(
          tried.map((path) => (path === "/data" ? path : `${path} EROFS`)).toSorted(),
        );
        expect(existsSync(join(image.root, "bin/sh"))).toBe(false);
      },
      TIMEOUT_MS,
    );

    test(
      "SIGTERM to process 1 ends it in good order, and the next one on its volume goes on",
      async () => {
        const state = volume();
        await using first = startContainer(image, state);
        await healthy(first);
        expect(await request(first, "http://127.0.0.1:8000/create-order", { order_id: "123", number_of_items: 1 })).toStartWith(
          "200 ",
        );
        process.kill(first.pid()!, "SIGTERM");
        expect(await first.process.exited).toEqual({ code: 0, signal: null });
        expect(first.process.output()).toContain("stopped");

        await using second = startContainer(image, state);
        await healthy(second);
        expect(await request(second, details)).toStartWith("200 ");
      },
      TIMEOUT_MS,
    );

    test.each(["cart", "order-service"])(
      "with the command of %s in Compose it is that service alone, and healthy",
      async (name) => {
        await using container = startContainer(image, volume(), services[name]!.command);
        await healthy(container);
        const [here, away] = name === "cart" ? image.ports : image.ports.toReversed();
        expect(await request(container, `http://127.0.0.1:${here}/health/ready`)).toStartWith("200 ");
        expect(await request(container, `http://127.0.0.1:${away}/health/ready`)).toContain("ECONNREFUSED");
      },
      TIMEOUT_MS,
    );

    test(
      "with MEMBERS it is as many processes behind its port, which end in good order with process 1",
      async () => {
        await using container = startContainer(image, volume(), ["producer"], { MEMBERS: "2" });
        await healthy(container);
        const ready = await waitUntil("for both members", async () => {
          const said = await request(container, "http://127.0.0.1:8000/health/ready");
          return said.match(/"shares":true/g)?.length === 2 && said;
        });
        expect(ready).toStartWith("200 ");
        process.kill(container.pid()!, "SIGTERM");
        expect(await container.process.exited).toEqual({ code: 0, signal: null });
        for (const member of [0, 1])
          expect(container.process.output()).toMatch(new RegExp(`"member":${member},.*"msg":"stopped"`));
      },
      TIMEOUT_MS,
    );

    test(
      "the health check is 1 where nothing listens, and where what listens is not ready",
      async () => {
        await using alone = startContainer(image, volume(), [], {}, image.healthcheck.command);
        expect(await alone.process.exited).toEqual({ code: 1, signal: null });
        expect(alone.process.output()).toContain("Nothing listens");

        await using waiting = startContainer(image, volume(), ["consumer"], { KAFKA_BROKERS: "127.0.0.1:1" });
        const live = "http://127.0.0.1:8001/health/live";
        await waitUntil("for the service to be live", async () => (await request(waiting, live)).startsWith("200 "));
        const { ok, output } = await health(waiting);
        expect({ ok, output }).toMatchObject({ ok: false, output: expect.stringContaining("/health/ready: 503 ") });
      },
      TIMEOUT_MS,
    );
  });
});

/** A suite that needs containers. Where there are none, it is skipped loudly, or fails if CI is set. */
function containerSuite(name: string, body: () => void): void {
  if (unavailable === undefined) return describe(name, body);
  if (!["", "0", "false"].includes(process.env["CI"] ?? "")) {
    return describe(name, () =>
      test("needs containers", () => {
        throw new Error(`With CI set, this suite must run, but ${unavailable}`);
      }),
    );
  }
  console.warn(`\n!!! SKIPPED, THIS IS NOT PROVED HERE: the image ${name}: ${unavailable}\n`);
  return describe.skip(name, () => test("needs containers", () => {}));
}
