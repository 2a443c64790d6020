/** An answer is true for now only, so nobody may keep it. */
const headers = { "content-type": "application/json", "cache-control": "no-store" };

/** `json` is the text; `more` are headers beside those that each of these answers has. */
export const jsonAnswer = (json: string, status = 200, more?: Readonly<Record<string, string>>): Response =>
  new Response(json, { status, headers: more === undefined ? headers : { ...headers, ...more } });
