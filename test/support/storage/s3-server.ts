import { describe, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { S3Client } from "bun";
import type { S3Access } from "../../../src/storage/s3-storage.ts";
import { freePort } from "../brokers/ports.ts";
import { runBounded, spawnTied, type TiedProcess } from "../programs/tied-process.ts";
import { waitUntil } from "../wait-until.ts";

/** A real server of S3's protocol, the Versity gateway over a directory, with one bucket. */
export interface S3Server extends AsyncDisposable {
  readonly access: S3Access;
  readonly client: S3Client;
  /** Ends the server; its data stays. */
  stop(): Promise<void>;
  /** Starts it again at the same address. */
  start(): Promise<void>;
}

const VERSION = "v1.8.0";
const BUILD_MS_MAX = 280_000;
const START_MS_MAX = 20_000;
const KEY = "order-processing-tests";
const SECRET = "a-secret-of-the-tests-alone";
const BUCKET = "snapshots";

/** How to start a server of S3's protocol; undefined if none was found, which `s3Suite` tells. */
export async function s3Starter(): Promise<(() => Promise<S3Server>) | undefined> {
  const found = await findGateway();
  return "path" in found ? () => startServer(found.path) : undefined;
}

/** `describe` for tests that need a server of S3's protocol; await it at the top of the file. */
export async function s3Suite(name: string, body: (start: () => Promise<S3Server>) => void): Promise<void> {
  const found = await findGateway();
  if ("path" in found) return describe(name, () => body(() => startServer(found.path)));
  const why = `no server of S3's protocol was found. ${found.unavailable}`;
  if ((process.env["CI"] ?? "") !== "")
    return describe(name, () =>
      test("needs a server", () => {
        throw new Error(`With CI set, this suite must run, but ${why}`);
      }),
    );
  console.warn(`\n!!! SKIPPED: ${name}: ${why}\n`);
  describe.skip(name, () => test("needs a server", () => {}));
}

async function startServer(binary: string): Promise<S3Server> {
  const dir = await mkdtemp(join(tmpdir(), "order-processing-s3-"));
  const port = await freePort();
  await Promise.all(["data", "meta"].map((name) => mkdir(join(dir, name))));
  const endpoint = `http://127.0.0.1:${port}`;
  // Without extended attributes, such as on a tmpfs, what it knows of its objects is in a directory of its own.
  const backend = ["posix", "--sidecar", join(dir, "meta"), join(dir, "data")];
  const command = [binary, "--port", `127.0.0.1:${port}`, "--access", KEY, "--secret", SECRET, "--quiet", ...backend];
  let server: TiedProcess | undefined;
  const start = async (): Promise<void> => {
    const starting = spawnTied(command, { onOrphaned: 'rm -rf "$1"', onOrphanedArgs: [dir] });
    server = starting;
    await waitUntil(
      () => `for the server of S3's protocol to start. It said:\n${starting.output()}`,
      async () => {
        if (starting.exit() !== undefined) throw new Error(`The server of S3's protocol ended. It said:\n${starting.output()}`);
        return fetch(endpoint).then(
          () => true,
          () => false,
        );
      },
      { wait_ms_max: START_MS_MAX, interval_ms: 20 },
    );
  };
  const stop = async (): Promise<void> => {
    server?.kill("SIGKILL");
    await server?.exited;
  };
  await start();
  // A bucket is a directory.
  await mkdir(join(dir, "data", BUCKET));
  const access = {
    bucket: BUCKET,
    prefix: "of/the/tests/",
    endpoint,
    region: "us-east-1",
    access_key_id: KEY,
    secret_access_key: SECRET,
    session_token: undefined,
  };
  return {
    access,
    client: new S3Client({ bucket: BUCKET, endpoint, region: "us-east-1", accessKeyId: KEY, secretAccessKey: SECRET }),
    stop,
    start,
    [Symbol.asyncDispose]: async () => {
      await stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

type Found = { readonly path: string } | { readonly unavailable: string };

let finding: Promise<Found> | undefined;
const findGateway = (): Promise<Found> => (finding ??= find());

/** VERSITYGW_BIN, or what is on PATH, or what was built once by Go from its module proxy. */
async function find(): Promise<Found> {
  const given = process.env["VERSITYGW_BIN"] ?? Bun.which("versitygw") ?? undefined;
  if (given !== undefined && given !== "") return { path: given };
  const cached = join(homedir(), ".cache/order-processing", `versitygw-${VERSION}`);
  if (existsSync(cached)) return { path: cached };
  const go = await runBounded(["go", "version"], START_MS_MAX);
  if (!/go1\.(2[1-9]|[3-9]\d)/.test(go.output))
    return { unavailable: "VERSITYGW_BIN is not set, versitygw is not on PATH, and Go 1.21 or later is not there to build it." };
  const building = await mkdtemp(join(tmpdir(), "order-processing-versitygw-"));
  try {
    const command = ["go", "install", `github.com/versity/versitygw/cmd/versitygw@${VERSION}`];
    const built = await runBounded(command, BUILD_MS_MAX, { ...process.env, GOBIN: building, GOFLAGS: "-mod=mod" });
    if (!built.ok) return { unavailable: `versitygw could not be built: ${built.output.slice(-500)}` };
    await mkdir(join(homedir(), ".cache/order-processing"), { recursive: true });
    await rename(join(building, "versitygw"), cached).catch(async () => {
      // Another file system.
      await Bun.write(`${cached}.new`, Bun.file(join(building, "versitygw")));
      await runBounded(["chmod", "+x", `${cached}.new`], START_MS_MAX);
      await rename(`${cached}.new`, cached);
    });
    return { path: cached };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}
