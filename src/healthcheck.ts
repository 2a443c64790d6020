import { localUrl } from "./config/addresses.ts";
import { readConfig } from "./config/config.ts";
import { startFailure } from "./system/startup-checks.ts";

/** It is shorter than the time that the image allows for the whole check. */
const ANSWER_MS_MAX = 3_000;
/** The answer begins with the status and its reason; a container engine keeps 4096 bytes of what the check prints. */
const SAID_CHARS_MAX = 400;

interface Answer {
  readonly ready: boolean;
  /** The line that `docker inspect` shows. */
  readonly said: string;
}

/**
 * The image's health check. It resolves with exit code 0 if at least one service listens here and all that do answer
 * 200 on /health/ready, else with 1.
 */
async function healthcheck(): Promise<number> {
  const { host, cart_port, order_port } = readConfig(process.env);
  const urls = [cart_port, order_port].map((port) => `${localUrl(host, port)}/health/ready`);
  const answers = (await Promise.all(urls.map(ask))).filter((answer) => answer !== undefined);
  if (answers.length === 0) console.log(`Nothing listens at ${urls.join(" or ")}.`);
  for (const { said } of answers) console.log(said);
  return answers.length > 0 && answers.every(({ ready }) => ready) ? 0 : 1;
}

/** Asks one service; undefined where nothing listens, since a container may run only one of the two. */
async function ask(url: string): Promise<Answer | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    return {
      ready: response.status === 200,
      said: `${url}: ${response.status} ${(await response.text()).slice(0, SAID_CHARS_MAX)}`,
    };
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === "ECONNREFUSED") return undefined;
    return { ready: false, said: `${url}: ${String(e)}` };
  }
}

try {
  process.exit(await healthcheck());
} catch (e) {
  console.log(startFailure(e));
  process.exit(1);
}
