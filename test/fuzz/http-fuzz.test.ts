import { expect, test } from "bun:test";
import { fuzzHttp } from "./http-fuzz.ts";

const REQUESTS = 20_000;

test("of 20,000 odd requests none is answered 5xx but 503, kept waiting, or logged as an error; what was taken is an event", async () => {
  const { requests, statuses, failures } = await fuzzHttp(1, REQUESTS);
  expect(failures).toEqual([]);
  expect(requests).toBe(REQUESTS);
  // The requests got as far into the services as they were meant to.
  for (const status of ["200", "204", "400", "401", "404", "405", "409", "415", "421", "422"])
    expect([status, (statuses.get(status) ?? 0) > 0]).toEqual([status, true]);
}, 300_000);
