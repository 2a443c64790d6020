import { h } from "./elements.ts";

/**
 * Sends a request to this service. `path` is relative, since a proxy may have given the page a path of its own. Throws
 * an Error with the sentence of the problem+json (RFC 9457) or of what went wrong on the way.
 */
export async function ask(path: string, init?: RequestInit): Promise<{ body: unknown; headers: Headers; status: number }> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new Error("The service does not answer.");
  }
  const body = (await response.json().catch(() => undefined)) as { detail?: string } | undefined;
  if (!response.ok) throw new Error(body?.detail ?? `The service answered ${response.status}.`);
  return { body, headers: response.headers, status: response.status };
}

export const problem = (e: unknown): HTMLElement =>
  h("p", { class: "problem", role: "alert" }, e instanceof Error ? e.message : String(e));
