import { type Clock, systemClock } from "../../../src/system/clock.ts";
import { KafkaLog } from "../../../src/log/kafka/kafka-log.ts";
import type { Random } from "../../../src/system/random.ts";
import type { TestBroker } from "./broker.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

/** The shortest session timeout that Kafka allows (group.min.session.timeout.ms). */
export const SESSION_MS = 6_000;
export const BACKOFF = { backoff_ms_min: 50, backoff_ms_max: 500 };

export const openKafkaLog = (brokers: string, clock: Clock = systemClock, random: Random = Math.random): KafkaLog =>
  new KafkaLog({
    brokers: brokers.split(","),
    clientId: "test",
    session_timeout_ms: SESSION_MS,
    ...BACKOFF,
    clock,
    random,
  });

/** The logs of one test and the proxy in front of the broker; all of them are closed with the scope. */
export interface KafkaLogs extends AsyncDisposable {
  /** A log that connects to the broker itself. */
  readonly direct: KafkaLog;
  /** A log that connects through the proxy. */
  readonly proxied: KafkaLog;
  readonly proxy: TcpProxy;
  open(way: "direct" | "proxied", clock?: Clock): KafkaLog;
}

export async function kafkaLogs({ brokers, proxied }: TestBroker): Promise<KafkaLogs> {
  if (!proxied) throw new Error("This broker has no listener for a proxy; skip the test.");
  const proxy = await startTcpProxy({ listenPort: proxied.advertisedPort, targetPort: proxied.listenPort });
  const logs: KafkaLog[] = [];
  const open: KafkaLogs["open"] = (way, clock) => {
    const log = openKafkaLog(way === "direct" ? brokers : `127.0.0.1:${proxy.port}`, clock);
    logs.push(log);
    return log;
  };
  return {
    direct: open("direct"),
    proxied: open("proxied"),
    proxy,
    open,
    [Symbol.asyncDispose]: async () => {
      proxy.pass();
      await Promise.all(logs.map((log) => log.close()));
      await proxy.close();
    },
  };
}
