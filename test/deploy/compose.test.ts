import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv } from "ajv";
import { settingsTable } from "../../src/config/settings.ts";
import { readConfig } from "../../src/config/config.ts";
import { runBounded } from "../support/programs/tied-process.ts";
import { bindMounts, composeSchema, parseFile, type Project, readProject, type Service } from "./compose.ts";
import { repository } from "../support/programs/repository.ts";

const path = (name: string) => join(repository, name);
const text = (name: string) => readFileSync(path(name), "utf8");
const outside = { KAFKA_BROKERS: "10.0.0.5:9092" };

/** Every combination of the Compose files that the READMEs tell people to use. */
const projects: Record<string, Project> = {
  "compose.yaml": readProject([path("compose.yaml")]),
  "three brokers": readProject([path("compose.yaml"), path("deploy/compose.three-brokers.yaml")]),
  producer: readProject([path("deploy/compose.producer.yaml")], outside),
  consumer: readProject([path("deploy/compose.consumer.yaml")], outside),
};
/** Prometheus' rules and their tests lie beside the Compose files. */
const isComposeFile = (name: string) => name.endsWith(".yaml") && !name.startsWith("alerts");
const files = ["compose.yaml", ...readdirSync(path("deploy")).filter(isComposeFile)].map((name) =>
  name === "compose.yaml" ? name : `deploy/${name}`,
);
const services = (): [string, string, Service][] =>
  Object.entries(projects).flatMap(([project, { services: all }]) =>
    Object.entries(all).map(([name, service]) => [project, name, service] as [string, string, Service]),
  );
const ours = services().filter(([, , service]) => service.build);

const validate = new Ajv({ strict: false, validateSchema: false, validateFormats: false }).compile(composeSchema());
const schemaErrors = (project: unknown) => (validate(project) ? [] : validate.errors);

describe("the Compose files keep to the specification's schema", () => {
  test("the schema finds what is wrong", () => {
    for (const service of [{ imagge: "a" }, { image: 1 }, { image: "a", healthcheck: { interval: [] } }]) {
      expect(schemaErrors({ services: { a: service } })).not.toEqual([]);
    }
    expect(schemaErrors({ services: {}, volume: {} })).not.toEqual([]);
    expect(schemaErrors({ services: { a: { image: "a" } } })).toEqual([]);
  });

  test.each(files)("%s as it is written", (file) => {
    expect(schemaErrors(parseFile(path(file)))).toEqual([]);
  });

  test.each(Object.keys(projects))("%s with everything filled in", (name) => {
    expect(schemaErrors(projects[name])).toEqual([]);
  });

  test("Docker Compose takes them, where it is found", async () => {
    if (!(await runBounded(["docker", "compose", "version"], 5_000)).ok) {
      console.warn(
        "\n!!! SKIPPED, THIS IS NOT PROVED HERE: Docker Compose itself reads the files: docker compose was not found.\n",
      );
      return;
    }
    for (const args of [
      ["compose.yaml"],
      ["compose.yaml", "deploy/compose.three-brokers.yaml"],
      ["deploy/compose.producer.yaml"],
      ["deploy/compose.consumer.yaml"],
    ]) {
      const command = [
        "docker",
        "compose",
        ...args.flatMap((file) => ["-f", path(file)]),
        "--profile",
        "replay",
        "config",
        "--quiet",
      ];
      const run = await runBounded(command, 20_000, { ...process.env, ...outside });
      expect({ args, ...run }).toMatchObject({ ok: true });
    }
  });
});

describe("what the reading of Compose files rests on", () => {
  test("variables: a default, one in another, one that must be set, and the dollar sign", () => {
    const file = path("compose.yaml");
    const replay = (env: Record<string, string>) => readProject([file], env).services["replay"]?.environment;
    expect(replay({})).toMatchObject({ REPLAY_TOPIC: "orders.events" });
    expect(replay({ ORDERS_TOPIC: "a" })).toMatchObject({ REPLAY_TOPIC: "a" });
    expect(replay({ ORDERS_TOPIC: "a", REPLAY_TOPIC: "b" })).toMatchObject({ REPLAY_TOPIC: "b" });
    for (const role of ["producer", "consumer"]) {
      expect(() => readProject([path(`deploy/compose.${role}.yaml`)])).toThrow("KAFKA_BROKERS must be set: host:port");
    }
  });

  test("what a service extends is there, and what it says itself goes before it", () => {
    const { environment, read_only, build } = projects["producer"]!.services["cart"]!;
    expect(environment).toMatchObject({ KAFKA_BROKERS: outside.KAFKA_BROKERS, LOG_LEVEL: null });
    expect(read_only).toBe(true);
    expect(build?.context).toBe(repository);
  });

  test("of two files the upper one replaces a command and adds to what else is there", () => {
    const { redpanda, cart } = projects["three brokers"]!.services;
    expect(redpanda?.command.filter((arg) => arg === "start")).toHaveLength(1);
    expect(redpanda?.healthcheck).toEqual(projects["compose.yaml"]!.services["redpanda"]!.healthcheck);
    expect(Object.keys(cart?.depends_on ?? {})).toEqual(["redpanda", "redpanda-1", "redpanda-2"]);
  });
});

describe("what the Compose files name is there", () => {
  test.each(services())("%s: %s", (project, name, service) => {
    // The tag is a full version, such as v25.3.9; our own image is named by whoever builds it.
    expect(service.image).toMatch(
      service.build ? /^order-processing:local$/ : /^docker\.[a-z.]+\/[a-z/]+:v?\d+\.\d+\.\d+(-alpine)?$/,
    );
    if (service.build) expect(existsSync(join(service.build.context, service.build.dockerfile))).toBe(true);
    for (const [source, , options] of bindMounts(service)) {
      expect({ source, exists: existsSync(path(source)), options }).toEqual({ source, exists: true, options: "ro" });
    }
    const { services: others, volumes } = projects[project]!;
    for (const volume of service.volumes ?? []) {
      if (!/^[./]/.test(volume)) expect(Object.keys(volumes)).toContain(volume.split(":")[0]!);
    }
    for (const [other, { condition }] of Object.entries(service.depends_on ?? {})) {
      expect(Object.keys(others)).toContain(other);
      // Our image has a health check of its own.
      if (condition === "service_healthy") expect(others[other]?.healthcheck ?? others[other]?.build).toBeDefined();
    }
    for (const port of service.ports ?? []) expect(port).toStartWith("127.0.0.1:");
    expect(name).not.toContain("_");
  });

  test("projects that may run side by side have names, and so volumes, of their own", () => {
    const names = Object.values(projects).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
  });

  test("one program has one version everywhere, the tests' Redpanda Connect included", () => {
    const images = new Set(services().map(([, , { image }]) => image));
    expect(new Set([...images].map((image) => image.split(":")[0]))).toHaveProperty("size", images.size);
    expect(text("test/support/brokers/connect.ts")).toContain(`"${projects["compose.yaml"]!.services["replay"]!.image}"`);
  });
});

describe("our services in Compose", () => {
  const config = readConfig({});
  const roles = {
    cart: { command: ["producer"], port: config.cart_port },
    "order-service": { command: ["consumer"], port: config.order_port },
  };

  test("there are both in development, and one in each file of its own", () => {
    expect(ours.map(([project, name]) => `${project}: ${name}`)).toEqual([
      "compose.yaml: cart",
      "compose.yaml: order-service",
      "three brokers: cart",
      "three brokers: order-service",
      "producer: cart",
      "consumer: order-service",
    ]);
  });

  test.each(ours)("%s: %s has its role, its default port unless a proxy has it, and one volume", (project, name, service) => {
    const role = roles[name as keyof typeof roles];
    expect(service.command).toEqual(role.command);
    // Where a proxy has the port, there may be several instances.
    const isBehindProxy = projects[project]!.services["proxy"] !== undefined;
    expect(service.ports).toEqual(isBehindProxy ? undefined : [`127.0.0.1:${role.port}:${role.port}`]);
    expect(service.volumes).toEqual([`${name}:/data`]);
  });

  test.each(ours)("%s: %s can write nothing but its volume and gain no rights", (_project, _name, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] });
  });

  test.each(ours)("%s: %s is killed only after the longest SHUTDOWN_WAIT_MS_MAX", (_project, _name, service) => {
    const { bounds } = settingsTable.find(([setting]) => setting === "SHUTDOWN_WAIT_MS_MAX")![1];
    const wait_ms_max = Number(bounds.replace("0 to ", ""));
    expect(service.stop_grace_period).toMatch(/^\d+s$/);
    expect(Number.parseInt(service.stop_grace_period!) * 1_000).toBeGreaterThanOrEqual(wait_ms_max + 10_000);
  });

  test.each(ours)("%s: %s is passed every setting that the image does not fix", (project, _name, service) => {
    const all: string[] = settingsTable.map(([setting]) => setting);
    // The settings that the image fixes, and those that only the operator's commands read.
    const others = ["HOST", "CART_PORT", "ORDER_PORT", "MEMBER_PORT_MIN", "DATA_DIR", "REDPANDA_CONNECT_BIN"];
    expect(Object.keys(service.environment ?? {}).toSorted()).toEqual(all.filter((name) => !others.includes(name)).toSorted());
    const set = Object.entries(service.environment!).filter(([, value]) => value !== null);
    expect(set.map(([setting]) => setting).toSorted()).toEqual(
      project === "three brokers" ? ["KAFKA_BROKERS", "TOPIC_REPLICATION"] : ["KAFKA_BROKERS"],
    );
    // Every topic is on all three brokers; the brokers' own setting says the same of topics that others make.
    if (project === "three brokers") expect(service.environment?.["TOPIC_REPLICATION"]).toBe("3");
  });
});

describe("the proxy in Compose", () => {
  const proxied = ["compose.yaml", "three brokers"].map((name) => [name, projects[name]!] as const);

  test.each(proxied)(
    "%s: publishes both services' ports, starts after them, and reads its configuration",
    (_, { services: all }) => {
      const { ports, depends_on, healthcheck, ...proxy } = all["proxy"]!;
      const { cart_port, order_port } = readConfig({});
      expect(ports).toEqual([cart_port, order_port].map((port) => `127.0.0.1:${port}:${port}`));
      expect(Object.keys(depends_on!)).toEqual(["cart", "order-service"]);
      expect(bindMounts(proxy as Service)).toEqual([["./deploy/haproxy.cfg", "/usr/local/etc/haproxy/haproxy.cfg", "ro"]]);
      expect(healthcheck!.test.at(-1)).toBe(`http://127.0.0.1:${order_port}/health/ready`);
      for (const name of Object.keys(depends_on!)) expect(all[name]!.ports).toBeUndefined();
    },
  );

  test("listens on the ports that are published, and asks the services by the names and ports that they have", () => {
    const config = text("deploy/haproxy.cfg");
    const { cart_port, order_port } = readConfig({});
    expect([...config.matchAll(/^ +bind :(\d+)$/gm)].map(([, port]) => Number(port))).toEqual([cart_port, order_port]);
    const asked = [...config.matchAll(/^ +server-template \S+ \d+ (?<name>\S+):(?<port>\d+)$/gm)];
    expect(asked.map(({ groups }) => [groups!["name"], Number(groups!["port"])])).toEqual([
      ["cart", cart_port],
      ["order-service", order_port],
    ]);
  });
});

describe("Redpanda in Compose", () => {
  const flag = (command: readonly string[], name: string) => command.find((arg) => arg.startsWith(`--${name}=`))?.split("=")[1];
  const brokersOf = ({ services: all }: Project) => Object.entries(all).filter(([name]) => /^redpanda(-\d)?$/.test(name));

  test.each(["compose.yaml", "three brokers"])(
    "%s: everyone connects to each broker at the address that it advertises",
    (name) => {
      const advertised = brokersOf(projects[name]!).map(([broker, { command, ports }]) => {
        const [internal, external] = flag(command, "advertise-kafka-addr")!.split(",");
        const [listensInternal, listensExternal] = flag(command, "kafka-addr")!.split(",");
        expect(internal).toBe(`internal://${broker}:${listensInternal!.split(":").at(-1)}`);
        const [address, published, inside] = ports![0]!.split(":");
        expect(external).toBe(`external://${address}:${published}`);
        expect(listensExternal).toBe(`external://0.0.0.0:${inside}`);
        return internal!.replace("internal://", "");
      });
      for (const client of ["console", "cart", "order-service", "replay"]) {
        expect(projects[name]!.services[client]!.environment).toMatchObject({ KAFKA_BROKERS: advertised.join(",") });
      }
      const topic = projects[name]!.services["replay-topic"]!.command.find((arg) => arg.startsWith("brokers="));
      expect(advertised).toContain(topic!.slice("brokers=".length));
    },
  );

  test("the port of the tests' harness is published and advertised", () => {
    const { redpanda } = readProject([path("compose.yaml")], { REDPANDA_PORT: "19092" }).services;
    expect(redpanda?.ports).toEqual(["127.0.0.1:19092:9092"]);
    expect(flag(redpanda!.command, "advertise-kafka-addr")).toEndWith("external://127.0.0.1:19092");
  });

  test("three brokers differ by name and port alone, have what one has, and put topics on all three", () => {
    const three = brokersOf(projects["three brokers"]!);
    const neutral = three.map(([name, { command }]) =>
      command
        .join(" ")
        .replaceAll(new RegExp(`(internal://|advertise-rpc-addr=)${name}:`, "g"), "$1NAME:")
        .replace(/127\.0\.0\.1:\d+/, "PORT"),
    );
    expect(three).toHaveLength(3);
    expect(new Set(neutral)).toHaveProperty("size", 1);
    const one = projects["compose.yaml"]!.services["redpanda"]!.command.filter((arg) => !arg.startsWith("--advertise"));
    expect(three[0]![1].command).toEqual(expect.arrayContaining(one));
    expect(flag(three[0]![1].command, "seeds")).toBe(three.map(([name]) => `${name}:33145`).join(","));
    expect(three[0]![1].command).toContain("redpanda.default_topic_replications=3");
    // A topic gets its replicas on the brokers that are there when it is made.
    for (const client of ["cart", "order-service", "replay-topic"]) {
      const waits = projects["three brokers"]!.services[client]!.depends_on;
      expect(waits).toEqual(Object.fromEntries(three.map(([name]) => [name, { condition: "service_healthy" }])));
    }
  });
});

describe("the replay profile", () => {
  const { replay, "replay-topic": topic, ...others } = projects["compose.yaml"]!.services;

  test("nothing else needs a profile", () => {
    expect([replay?.profiles, topic?.profiles]).toEqual([["replay"], ["replay"]]);
    expect(Object.values(others).filter(({ profiles }) => profiles)).toEqual([]);
  });

  test("runs the pipeline that is mounted, with every variable that it has, less login and port", () => {
    const [mount] = bindMounts(replay!);
    expect(mount).toEqual(["./pipelines/replay.yaml", "/pipelines/replay.yaml", "ro"]);
    expect(replay?.command).toEqual(["run", mount![1]]);
    const documented = [...text("pipelines/replay.yaml").matchAll(/^# {3}([A-Z_]{3,}) +(?!redpanda)/gm)].map(([, name]) => name!);
    const passed = documented.filter((name) => !/^KAFKA_(TLS|SASL)|^PIPELINE_PORT$/.test(name));
    expect(Object.keys(replay?.environment ?? {}).toSorted()).toEqual(passed.toSorted());
  });

  test("the topic is made first, is the pipeline's target, has the partitions of the source, and keeps old records", () => {
    const made = readProject([path("compose.yaml")], { REPLAY_TARGET: "again", TOPIC_PARTITIONS: "3" }).services;
    expect(made["replay"]?.environment).toMatchObject({ REPLAY_TARGET: "again" });
    expect(made["replay-topic"]?.command).toEqual(
      expect.arrayContaining(["again", "--partitions=3", "--topic-config=retention.ms=-1"]),
    );
    expect(topic?.command).toContain(`--partitions=${readConfig({}).topic_partitions}`);
    expect(replay?.depends_on).toMatchObject({ "replay-topic": { condition: "service_completed_successfully" } });
  });
});
