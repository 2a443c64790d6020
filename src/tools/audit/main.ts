import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { systemClock } from "../../system/clock.ts";
import { localUrl } from "../../config/addresses.ts";
import { type Config, readConfig } from "../../config/config.ts";
import { AppError } from "../../errors.ts";
import { isAbsent, logFiles } from "../../log/log-kinds.ts";
import { openLog } from "../../log/open-log.ts";
import type { Log } from "../../log/port.ts";
import { zstd } from "../../runtime/snapshots/compression.ts";
import { Snapshots } from "../../runtime/snapshots/snapshots.ts";
import { openStorage } from "../../storage/open-storage.ts";
import { checkDataDir, checkOpenFiles, startFailure, writeForThisUserAlone } from "../../system/startup-checks.ts";
import { isTerminal, writeToStdout } from "../../telemetry/logger.ts";
import { progressBar, StatusLine } from "../../telemetry/status-line.ts";
import { absentTopic } from "./absent-topic.ts";
import { audit, auditPartition, type AuditOptions, type Finding } from "./audit.ts";
import { orderServiceClient } from "./order-service-client.ts";
import { type FindStart, startsFromSnapshots } from "./snapshot-start.ts";
import { table } from "./table.ts";

const USAGE = `Usage: bun run audit [options]

Folds the orders topic again and compares the result with what each running order service holds: the digest of every partition,
and every row where the digests differ. Where the log has lost its first records, it begins with the newest snapshot at SNAPSHOT_URL. It only reads. It takes the services' settings (KAFKA_BROKERS, ORDERS_TOPIC, DATA_DIR, …).

  --services URL,…   an order service of the group, which tells of the others (default http://<HOST>:<ORDER_PORT>); all of them, if
                     they are of earlier versions
  --rows             compares row by row even where the digests agree
  --rate N           records read a second, at most (default 100000; 0: no bound)
  --fix              sets each partition that differs aside and has it rebuilt from the log; needs the services' OPERATOR_TOKEN. A partition
                     whose rows have what the log has lost is not rebuilt, since nothing else has it
  --log-is-right     with --fix: rebuilds such a partition too. What only its rows had is then only in the file that was set aside

Exit 0: all agree. 1: something differs or could not be compared, such as what the log has lost (with LOG_START=accept a note only).
2: the audit could not begin, for instance because there is no topic.`;

const EXIT_DIFFERENT = 1;
const EXIT_USAGE = 2;
const RATE_MAX = 100_000_000;
const PAGE_ROWS = 500;
const REBUILD_WAIT_MS = 500;
const REBUILD_WAIT_MS_MAX = 3_600_000;
/** The wait before the first look at a service, which may not have begun to rebuild when it answers the request. */
const REBUILD_BEGIN_MS = 2_000;

const clock = systemClock;

function readOptions(args: string[]) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        services: { type: "string" },
        rows: { type: "boolean", default: false },
        rate: { type: "string", default: "100000" },
        fix: { type: "boolean", default: false },
        "log-is-right": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    const rate = Number(values.rate);
    if (!Number.isInteger(rate) || rate < 0 || rate > RATE_MAX)
      throw new Error(`--rate is ${values.rate}; it must be an integer from 0 to ${RATE_MAX}.`);
    return { ...values, rate, services: values.services === undefined ? undefined : readServices(values.services) };
  } catch (e) {
    throw new AppError("CONFIG_INVALID", e instanceof Error ? e.message : String(e));
  }
}

/** Drops repeated URLs: a service asked twice would look like two that hold the same partitions. */
function readServices(given: string): string[] {
  const services = given.split(",").map((url) => {
    if (!URL.canParse(url.trim())) throw new Error(`--services has ${url}; it must have URLs, such as http://127.0.0.1:8001.`);
    return new URL(url.trim()).href.replace(/\/+$/, "");
  });
  return [...new Set(services)];
}

async function main(args: string[]): Promise<number> {
  const { services, rows, rate, fix, help, "log-is-right": logIsRight } = readOptions(args);
  if (help) {
    console.log(USAGE);
    return 0;
  }
  const config = readConfig(process.env);
  const urls = services ?? [localUrl(config.host, config.order_port)];
  if (logIsRight && !fix) throw new AppError("CONFIG_INVALID", "--log-is-right is for --fix only.");
  if (fix && config.operator_token === undefined)
    throw new AppError("CONFIG_INVALID", "--fix needs OPERATOR_TOKEN, the one that the order services were started with.");
  checkOpenFiles();
  if (logFiles(config.log).length > 0) checkDataDir(config.data_dir);
  if (isAbsent(config.log)) throw absentTopic(config);
  const log = openLog(config, {
    clock,
    random: Math.random,
    newUuid: () => crypto.randomUUID(),
    onClientMessage: () => undefined,
  });
  const status = isTerminal() ? new StatusLine(writeToStdout, () => process.stdout.columns) : undefined;
  const began_ms = clock.now_ms();
  const onProgress = (read: number, total: number) => {
    const per_s = Math.round(read / Math.max(0.001, (clock.now_ms() - began_ms) / 1_000));
    status?.show(progressBar("audit", read, total, per_s, Math.ceil((total - read) / Math.max(1, per_s))));
  };
  const options: AuditOptions = {
    log,
    topic: config.orders_topic,
    services: urls.map((url) => orderServiceClient(url, config.operator_token, PAGE_ROWS)),
    allRows: rows,
    findStart: await findStart(config, log),
    acceptsLateStart: config.log_start === "accept",
    records_per_s_max: rate,
    clock,
    onProgress,
  };
  try {
    const findings: Finding[] = [];
    for await (const finding of audit(options))
      findings.push(fix ? await fixPartition(finding, options, logIsRight, (text) => status?.show(text)) : finding);
    status?.show("");
    if (findings.length === 0) throw absentTopic(config);
    console.log(table(findings));
    return findings.every(({ differences }) => differences.length === 0) ? 0 : EXIT_DIFFERENT;
  } finally {
    status?.show("");
    await log.close();
  }
}

/** Where snapshots are kept, what the log has lost since is taken from them. */
async function findStart(config: Config, log: Log): Promise<FindStart | undefined> {
  const { snapshot_storage, snapshots_kept: kept, orders_topic } = config;
  if (snapshot_storage === undefined) return undefined;
  const storage = openStorage(snapshot_storage, { clock, newUuid: () => crypto.randomUUID() });
  const snapshots = new Snapshots({ storage, compression: zstd, clock, random: Math.random, kept });
  return startsFromSnapshots(snapshots, await log.id(), orders_topic, tmpdir());
}

/** Has a partition that differs rebuilt, and then audits it again. */
async function fixPartition(
  finding: Finding,
  options: AuditOptions,
  logIsRight: boolean,
  show: (text: string) => void,
): Promise<Finding> {
  const { partition, service, differences, canRebuild, losses } = finding;
  // What could not be compared now, such as a partition that is being rebuilt, is not rebuilt.
  if (differences.length === 0 || !service || finding.digest === undefined) return finding;
  if (!canRebuild || (losses !== undefined && !logIsRight)) return { ...finding, notes: [...finding.notes, notRebuilt(finding)] };
  await service.rebuild(partition);
  const deadline_ms = clock.now_ms() + REBUILD_WAIT_MS_MAX;
  await clock.sleep(REBUILD_BEGIN_MS);
  for (;;) {
    const held = (await service.partitions()).partitions.find((one) => one.partition === partition);
    if (held?.state === "running") break;
    if (held?.halted !== undefined)
      return { ...finding, differences: [...differences, `it halted while it was rebuilt: ${held.halted}`] };
    if (clock.now_ms() > deadline_ms)
      return { ...finding, differences: [...differences, `it was not rebuilt within ${REBUILD_WAIT_MS_MAX / 1_000} s`] };
    show(`partition ${partition} is rebuilt: ${held?.state ?? "not held"} at offset ${held?.offset ?? 0}`);
    await clock.sleep(REBUILD_WAIT_MS);
  }
  const { topicId, partitions } = await options.log.ends(options.topic);
  const ends = partitions[partition] ?? { unavailable: "It is not known." };
  const again = { ...options, topic: { name: options.topic, topicId }, onRead: () => undefined };
  return { ...(await auditPartition(partition, ends, again)), wasFixed: differences };
}

const notRebuilt = ({ partition, service, canRebuild }: Finding): string =>
  [
    "it is not rebuilt, since the log may not have all that its rows were made of, and they may be all that there is of it.",
    `Copy DATA_DIR/state and keep the rows (GET ${service?.url}/partitions/${partition}/orders, page by page),`,
    "then restore the log first: bun run archive --restore into another topic, and the services with that as ORDERS_TOPIC.",
    ...(canRebuild ? ["If the log is right and the rows are not: --fix --log-is-right."] : []),
  ].join(" ");

writeForThisUserAlone();
let exitCode: number;
try {
  exitCode = await main(process.argv.slice(2));
} catch (e) {
  console.error(startFailure(e));
  exitCode = EXIT_USAGE;
}
// The connections to a broker that does not answer would keep the process alive.
process.exit(exitCode);
