import { type PlantedBugs, WITHOUT_THE_LOGS_END } from "./planted-bug.ts";

/** Mistakes in how order services ask each other. */
export const FLEET_BUGS: PlantedBugs = {
  "a hop to a former owner is answered as 404": {
    breaks: "I7",
    file: "src/services/orders/query/trust.ts",
    find: "  try {\n    requireAssignment(partitions);\n    requireReadable(partitions);\n  } catch (e) {\n    return e as AppError;\n  }\n",
    replace: "",
    also: [WITHOUT_THE_LOGS_END],
  },
  "a former owner that stood still says 404": {
    breaks: "I7",
    file: "src/services/orders/query/trust.ts",
    find: "  try {\n    requireAssignment(partitions);\n    requireReadable(partitions);\n  } catch",
    replace: "  try {\n    requireReadable(partitions);\n  } catch",
    also: [WITHOUT_THE_LOGS_END],
  },
  "a former owner's answer has no Age": {
    breaks: "I7",
    file: "src/services/orders/query/known-order.ts",
    find: "const mayBeElsewhere = partitions.mayBeReplaced === true;",
    replace: "const mayBeElsewhere = false;",
  },
  "an owner that was away goes on from its old rows": {
    breaks: "I7",
    file: "src/runtime/actor/actor.ts",
    find: 'if (duty === this.#duty.kind && !(wasAway && duty === "owner")) return;',
    replace: "if (duty === this.#duty.kind) return;",
  },
  "a 404 before all partitions were asked": {
    breaks: "I7",
    file: "src/services/orders/query/known-order.ts",
    find: 'if (told === undefined) return new AppError("CATCHING_UP", "Not all partitions could be asked; ask again.");',
    replace: "if (told === undefined) return undefined;",
    also: [
      {
        file: "src/services/orders/query/order-search.ts",
        find: "      await asked.add(others, told);\n",
        replace: "",
      },
    ],
  },
  "an owner that does not answer counts as one that has nothing": {
    breaks: "I7",
    file: "src/services/orders/query/known-order.ts",
    find: "return isKnown(told) ? told.doubt : told;",
    replace: 'return isKnown(told) ? told.doubt : told.code === "OWNER_UNREACHABLE" ? undefined : told;',
  },
  "a listing skips a peer": {
    breaks: "I7",
    file: "src/services/orders/listing/fleet-order-ids.ts",
    find: "if (isAppError(page)) failure ??= page;\n      else pages.add(page);",
    replace: "if (!isAppError(page)) pages.add(page);",
    also: [
      {
        file: "src/services/orders/listing/fleet-order-ids.ts",
        find: "this.#unread = this.#unread.filter((partition) => !isRead.has(partition));",
        replace: "this.#unread = [];",
      },
    ],
  },
  "a listing takes a page of partitions that are not all known": {
    breaks: "I7",
    file: "src/services/orders/listing/merged-order-ids.ts",
    find: 'if (after === "") await requireListable(partitions, newest, numbers);\n  else for',
    replace: "for",
  },
  "a list is told without what the log has by now": {
    breaks: "I7",
    file: "src/services/orders/listing/merged-order-ids.ts",
    find: "await newest.requireApplied(numbers);",
    replace: "await Promise.resolve();",
  },
  "a hop is passed on": {
    breaks: "I10",
    file: "src/services/orders/hops/order-hop.ts",
    find: "const told = await search.here(question, partitions, request, deadline_ms - clock.now_ms());",
    replace: `await search.details(orderId, undefined, request).catch(() => undefined);
      const told = await search.here(question, partitions, request, deadline_ms - clock.now_ms());`,
  },
  "a position is not waited for where another order service has it": {
    breaks: "I7",
    file: "src/services/orders/query/order-question.ts",
    find: "...(isWaited ? { headers",
    replace: "...(isWaited && partitions.length < 0 ? { headers",
    also: [WITHOUT_THE_LOGS_END],
  },
};
