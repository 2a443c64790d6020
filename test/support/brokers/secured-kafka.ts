import { afterAll, beforeAll, describe, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AclEntry,
  type Admin,
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from "kafkajs";
import { findKafka, startServer } from "./kafka.ts";
import { freePorts } from "./ports.ts";
import { runBounded } from "../programs/tied-process.ts";

const start_ms_max = 90_000;
const stop_ms_max = 30_000;
const keytool_ms_max = 20_000;

export interface User {
  readonly mechanism: "plain" | "scram-sha-256" | "scram-sha-512";
  readonly name: string;
  readonly password: string;
}

/** Each user can log in with its own mechanism only. */
export const users = {
  plain: { mechanism: "plain", name: "paula", password: "paulas-password" },
  scram256: { mechanism: "scram-sha-256", name: "sven", password: "svens-password" },
  scram512: { mechanism: "scram-sha-512", name: "sara", password: "saras-password" },
  /** The guest has no permission to create topics. */
  guest: { mechanism: "plain", name: "guest", password: "guests-password" },
} as const satisfies Record<string, User>;

const admin: User = { mechanism: "plain", name: "admin", password: "admins-password" };

/** Apache Kafka whose clients connect by TLS and SASL and may do only what the ACLs allow them. */
export interface SecuredKafka {
  readonly port: number;
  /** The authority that signed the broker's certificate, which is for 127.0.0.1 alone. */
  readonly caFile: string;
  /** A client who may do everything. */
  readonly superClient: Kafka;
  readonly dispose: () => Promise<void>;
}

/**
 * `describe` with a secured Kafka of its own, on Java: neither a given broker nor one in Docker can be set up this way.
 * Await it at the top of the file. Like every suite that needs a broker, it is skipped loudly, or fails if CI is set.
 */
export async function securedSuite(name: string, body: (kafka: () => SecuredKafka) => void): Promise<void> {
  const jars = await findKafka();
  if ("dir" in jars) {
    describe(name, () => {
      let kafka: SecuredKafka;
      beforeAll(async () => {
        kafka = await startSecuredKafka(jars.dir);
      }, start_ms_max);
      afterAll(() => kafka?.dispose(), stop_ms_max);
      body(() => kafka);
    });
    return;
  }
  const why = `Apache Kafka cannot be started. ${jars.unavailable}`;
  if (!["", "0", "false"].includes(process.env["CI"] ?? "")) {
    describe(name, () => {
      test("needs a Kafka of its own", () => {
        throw new Error(`With CI set, this suite must run, but ${why}`);
      });
    });
    return;
  }
  console.warn(`\n!!! SKIPPED: ${name}: ${why}\n`);
  describe.skip(name, () => test("needs a Kafka of its own", () => {}));
}

async function startSecuredKafka(jarsDir: string): Promise<SecuredKafka> {
  const dir = await mkdtemp(join(tmpdir(), "order-processing-secured-kafka-"));
  const [port, internalPort, controllerPort] = (await freePorts(3)) as [number, number, number];
  const caFile = await makeCertificates(dir).catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true });
    throw error;
  });
  const server = await startServer(jarsDir, {
    dir,
    brokers: `127.0.0.1:${internalPort}`,
    properties: serverProperties({ dir, port, internalPort, controllerPort }),
    formatArgs: [users.scram256, users.scram512].flatMap((user) => ["--add-scram", scramCredential(user)]),
  });
  const superClient = new Kafka({
    brokers: [`127.0.0.1:${port}`],
    clientId: "test-admin",
    ssl: { ca: [await readFile(caFile, "utf8")] },
    sasl: { mechanism: "plain", username: admin.name, password: admin.password },
    logLevel: logLevel.NOTHING,
  });
  try {
    const client = superClient.admin();
    await client.connect();
    await client.createAcls({ acl: Object.values(users).flatMap(permissions) });
    await client.disconnect();
  } catch (error) {
    await server.dispose();
    throw error;
  }
  return { port, caFile, superClient, dispose: server.dispose };
}

/** Takes one permission away from the user, who keeps DESCRIBE; the returned function gives it back. */
export async function refuseRead(
  client: Admin,
  user: User,
  resource: "TOPIC" | "GROUP",
  resourceName: string,
): Promise<() => Promise<unknown>> {
  const refusal = {
    resourceType: AclResourceTypes[resource],
    resourceName,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: `User:${user.name}`,
    host: "*",
    operation: AclOperationTypes.READ,
    permissionType: AclPermissionTypes.DENY,
  };
  await client.createAcls({ acl: [refusal] });
  return () => client.deleteAcls({ filters: [refusal] });
}

/** The permissions that the services need, on everything whose name begins with the user's. */
function permissions(user: User): AclEntry[] {
  const { READ, WRITE, DESCRIBE, CREATE } = AclOperationTypes;
  const allowed = [
    [AclResourceTypes.TOPIC, [READ, WRITE, DESCRIBE, ...(user === users.guest ? [] : [CREATE])]],
    [AclResourceTypes.GROUP, [READ]],
    [AclResourceTypes.TRANSACTIONAL_ID, [WRITE, DESCRIBE]],
  ] as const;
  return allowed.flatMap(([resourceType, operations]) =>
    operations.map((operation) => ({
      resourceType,
      resourceName: user.name,
      resourcePatternType: ResourcePatternTypes.PREFIXED,
      principal: `User:${user.name}`,
      host: "*",
      operation,
      permissionType: AclPermissionTypes.ALLOW,
    })),
  );
}

/**
 * The file of a new authority's certificate. The authority signs the broker's certificate, and its key is then deleted,
 * so that the broker cannot show the wrong one.
 */
async function makeCertificates(dir: string): Promise<string> {
  const caFile = join(dir, "ca.pem");
  const key = ["-keyalg", "EC", "-groupname", "secp256r1", "-validity", "2"];
  await keytool(dir, "-genkeypair", "-alias", "ca", "-dname", "CN=test authority", "-ext", "bc:critical=ca:true", ...key);
  await keytool(dir, "-exportcert", "-rfc", "-alias", "ca", "-file", caFile);
  const signed = ["-dname", "CN=broker", "-ext", "san=ip:127.0.0.1", "-signer", "ca"];
  await keytool(dir, "-genkeypair", "-alias", "broker", ...signed, ...key);
  await keytool(dir, "-delete", "-alias", "ca");
  return caFile;
}

const storePassword = "store-password";

async function keytool(dir: string, ...args: string[]): Promise<void> {
  const store = ["-keystore", join(dir, "broker.p12"), "-storetype", "PKCS12", "-storepass", storePassword];
  const run = await runBounded(["keytool", ...args, ...store], keytool_ms_max);
  if (!run.ok) throw new Error(`keytool ${args[0]} failed. It said:\n${run.output}`);
}

const scramCredential = ({ mechanism, name, password }: User): string =>
  `${mechanism.toUpperCase()}=[name=${name},password=${password}]`;

interface Places {
  readonly dir: string;
  readonly port: number;
  readonly internalPort: number;
  readonly controllerPort: number;
}

/** Only the broker itself uses the listeners without login; there it is ANONYMOUS. */
function serverProperties({ dir, port, internalPort, controllerPort }: Places): string {
  const plainUsers = [admin, users.plain, users.guest].map(({ name, password }) => `user_${name}="${password}"`);
  return `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
listeners=CLIENT://127.0.0.1:${port},INTERNAL://127.0.0.1:${internalPort},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=CLIENT://127.0.0.1:${port},INTERNAL://127.0.0.1:${internalPort}
listener.security.protocol.map=CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=INTERNAL
listener.name.client.ssl.keystore.location=${join(dir, "broker.p12")}
listener.name.client.ssl.keystore.type=PKCS12
listener.name.client.ssl.keystore.password=${storePassword}
listener.name.client.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required ${plainUsers.join(" ")};
listener.name.client.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=false
super.users=User:ANONYMOUS;User:${admin.name}
log.dirs=${join(dir, "data")}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
`;
}
