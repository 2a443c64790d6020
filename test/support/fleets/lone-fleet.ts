import pino from "pino";
import { Fleet } from "../../../src/fleet/fleet.ts";
import { systemClock } from "../../../src/system/clock.ts";

/** The fleet of an order service that knows of no other. */
export const loneFleet = (): Fleet =>
  new Fleet({
    secret: undefined,
    topic: "orders.events",
    session_timeout_ms: 10_000,
    transport: () => Promise.reject(new Error("nobody is to be asked")),
    clock: systemClock,
    logger: pino({ level: "silent" }),
  });
