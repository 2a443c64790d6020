import type { Position } from "../reference/claims.ts";

export interface HttpAnswer {
  /** The HTTP status; 0 if no answer came. */
  readonly status: number;
  /**
   * `ok`, a problem's code, `not-json`, `no-code`, `no-answer`, or `no-connection`, which means that nothing was sent.
   */
  readonly code: string;
  readonly body: string;
  readonly position: Position | undefined;
  readonly took_ms: number;
}

/** Longer than the services promise to take. */
const answer_ms_max = 6_000;

export async function ask(url: string, init: RequestInit = {}): Promise<HttpAnswer> {
  const asked_ms = performance.now();
  try {
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(answer_ms_max) });
    const body = await response.text();
    const took_ms = performance.now() - asked_ms;
    const { status, headers } = response;
    const code = status === 200 ? "ok" : ((JSON.parse(body) as { code?: string }).code ?? "no-code");
    return { status, code, body, position: positionOf(headers.get("log-position")), took_ms };
  } catch (e) {
    const refused = (e as { code?: string }).code === "ConnectionRefused";
    const code = e instanceof SyntaxError ? "not-json" : refused ? "no-connection" : "no-answer";
    return { status: 0, code, body: "", position: undefined, took_ms: performance.now() - asked_ms };
  }
}

function positionOf(header: string | null): Position | undefined {
  const [partition, offset] = header?.split(":").map(Number) ?? [];
  return partition === undefined || offset === undefined ? undefined : { partition, offset };
}

export const show = ({ code, position }: HttpAnswer): string =>
  code === "ok" && position ? `200 ${position.partition}:${position.offset}` : code;
