/**
 * A separate process that has a store open, for the tests that need a real one: `<path> cart` and `<path> service` save
 * an order and keep the store open as those do; `<path> write <orders>` gives each order one event more with each save,
 * as fast as it can; `<path> alone` keeps the store from all others. It prints a line once it has saved for the first time.
 */
import { Database } from "bun:sqlite";
import { writeSync } from "node:fs";
import { orderCreated, statusUpdated } from "../../support/events/orders.ts";
import { openIndex, openOrders, saveEvents } from "./rig.ts";

const [path = "", role, count = "0"] = process.argv.slice(2);
const say = (line: string): void => void writeSync(1, `${line}\n`);
const orders = Array.from({ length: Number(count) }, (_, n) => `ORD-${n}`);

if (role === "cart" || role === "service") {
  const store = role === "cart" ? openIndex(path) : openOrders(path);
  await saveEvents(store, orderCreated({ orderId: "ORD-300", eventId: "held" }));
  say("saved");
  // SQLite closes a database that nobody can reach any more.
  setInterval(() => store.nextOffset, 1_000);
} else if (role === "write") {
  const store = openOrders(path);
  await saveEvents(store, ...orders.map((orderId) => orderCreated({ orderId, eventId: `${orderId}-1` })));
  say("saved");
  for (let round = 2; ; round++) {
    await saveEvents(store, ...orders.map((orderId) => statusUpdated({ orderId, eventId: `${orderId}-${round}` })));
    // Lets the end by a signal come through.
    await Bun.sleep(0);
  }
} else if (role === "alone") {
  const db = new Database(path);
  db.run("PRAGMA locking_mode = EXCLUSIVE");
  // Only a write takes the lock that is then kept.
  db.run("BEGIN IMMEDIATE");
  db.run("PRAGMA user_version = 0");
  db.run("COMMIT");
  say("saved");
  setInterval(() => db.filename, 1_000);
} else throw new Error(`No such role: ${role}`);
