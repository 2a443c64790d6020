/** An answer is true for now only, so nobody may store it. */
const headers = { "content-type": "application/json", "cache-control": "no-store" };

/** `json` is the answer's text, and `more` are headers beside those that all these answers have. */
export const jsonAnswer = (json: string, status = 200, more?: Readonly<Record<string, string>>): Response =>
  new Response(json, { status, headers: more === undefined ? headers : { ...headers, ...more } });
