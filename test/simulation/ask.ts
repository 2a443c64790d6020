import { AppError } from "../../src/errors.ts";
import type { Running, World } from "./world.ts";

const ANSWER_MS_MAX = 3_000;

/**
 * Asks a process, and waits as long as a client does. Resolves with its answer, the code of its refusal, or
 * "no-answer".
 */
export async function ask<T>(world: World, running: Running, request: (running: Running) => Promise<T>): Promise<T | string> {
  const { scheduler, outside } = world;
  const asked = new Promise<T>((resolve, reject) => {
    const answered = async (): Promise<T> => {
      running.requests++;
      try {
        return await request(running);
      } finally {
        running.requests--;
      }
    };
    scheduler.at(scheduler.now_ms, running.owner, () => void answered().then(resolve, reject));
  });
  const answer = outside.receive(asked).catch((e: unknown) => {
    if (e instanceof AppError) return e.code;
    throw e;
  });
  return Promise.race([answer, outside.sleep(ANSWER_MS_MAX).then(() => "no-answer")]);
}
