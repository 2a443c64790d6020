import { connect } from "node:net";
import { type Program, startProgram } from "../support/programs/processes.ts";
import { seededRandom } from "../simulation/scheduler.ts";
import { type RawRequest, rawRequest } from "./http-requests.ts";
import type { Service } from "./http-samples.ts";

const CONNECTIONS = 48;
/** A whole request must be answered within this time; after an unfinished one, the connection is soon closed. */
const ANSWER_WAIT_MS_MAX = 10_000;
const UNFINISHED_WAIT_MS = 15;
const FAILURES_SHOWN = 5;
/** Bun's own answer to an HTTP version that it does not speak; besides 503, the only 5xx that is right. */
const VERSION_NOT_SUPPORTED = 505;

export interface FuzzReport {
  readonly requests: number;
  /** The number of answers by status; `none` counts the requests without an answer. */
  readonly statuses: ReadonlyMap<string, number>;
  /** What went wrong, with the requests that caused it. */
  readonly failures: readonly string[];
}

/**
 * Sends requests made from the seed to a real program, many at a time, and looks for what must not happen: an answer
 * 5xx other than 503, a whole request that is left without an answer, a line at level error in the program's log, an
 * event that it accepted and then could not read, or its end.
 */
export async function fuzzHttp(
  seed: number,
  requests: number,
  onProgress: (done: number) => void = () => undefined,
): Promise<FuzzReport> {
  const env = {
    READ_WAIT_MS_MAX: "50",
    APPEND_WAIT_MS_MAX: "2000",
    LOG_FORMAT: "json",
    TOPIC_PARTITIONS: "3",
    OPERATOR_TOKEN: "night-shift-7",
  };
  await using program = await startProgram({ env });
  await program.ready();
  const ports = { cart: Number(new URL(program.cartUrl).port), orders: Number(new URL(program.orderUrl).port) };
  const statuses = new Map<string, number>();
  const failures: string[] = [];
  let next = 0;
  const worker = async () => {
    while (next < requests && failures.length < FAILURES_SHOWN) {
      const number = next++;
      const random = seededRandom(seed * 1_000_003 + number);
      const service: Service = random() < 0.5 ? "cart" : "orders";
      const request = rawRequest(random, service);
      const answer = await send(ports[service], request);
      const status = answer === "late" ? answer : (answer.match(/^HTTP\/1\.1 (\d{3}) /)?.[1] ?? "none");
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      const isWrong =
        status === "late" || (Number(status) >= 500 && Number(status) !== 503 && Number(status) !== VERSION_NOT_SUPPORTED);
      if (isWrong)
        failures.push(
          `request ${number} of seed ${seed}, to ${service}: ${status}\n${JSON.stringify(request.bytes.toString("latin1").slice(0, 500))}\n${answer.slice(0, 500)}`,
        );
      if (number % 1_000 === 0) onProgress(number);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return { requests: next, statuses, failures: [...failures, ...(await aftermath(program))] };
}

async function aftermath(program: Program): Promise<string[]> {
  const failures: string[] = [];
  try {
    await program.ready();
    const letters = (await (await fetch(`${program.orderUrl}/dead-letters`)).json()) as { letters: unknown[] };
    if (letters.letters.length > 0) failures.push(`the cart took what is no event: ${JSON.stringify(letters.letters[0])}`);
  } catch (e) {
    failures.push(String(e));
  }
  const errors = program
    .output()
    .split("\n")
    .filter((line) => /"level":"(?:error|fatal)"/.test(line) || /^\s+at .*:\d+:\d+/.test(line));
  return [...failures, ...errors.slice(0, FAILURES_SHOWN).map((line) => `the log says: ${line}`)];
}

/**
 * The answer: up to the end of a head, or all until the connection ended. It is `late` if an answer was due and did
 * not come.
 */
function send(port: number, { bytes, isWhole }: RawRequest): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(new Uint8Array(bytes)));
    const end = (answer: string) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(
      () => end(isWhole && text === "" ? "late" : text),
      isWhole ? ANSWER_WAIT_MS_MAX : UNFINISHED_WAIT_MS,
    );
    socket.on("data", (data) => {
      text += data.toString("latin1");
      // For a 5xx other than 503, the report also needs the body.
      if (/^HTTP\/1\.1 (?:[234]|503)[^]*\r\n\r\n/.test(text) || /^HTTP\/1\.1 5[^]*\r\n\r\n[^]/.test(text)) end(text);
    });
    socket.on("error", () => end(text));
    socket.on("close", () => end(text));
  });
}
