import { CART_BUGS } from "./cart-bugs.ts";
import { FLEET_BUGS } from "./fleet-bugs.ts";
import { FOLD_BUGS } from "./fold-bugs.ts";
import { LETTER_BUGS } from "./letter-bugs.ts";
import { LOG_BUGS } from "./log-bugs.ts";
import { SNAPSHOT_BUGS } from "./snapshot-bugs.ts";
import { STORE_BUGS } from "./store-bugs.ts";
import { STANDBY_BUGS } from "./standby-bugs.ts";
import { SHARING_BUGS } from "./sharing-bugs.ts";
import type { PlantedBugs } from "./planted-bug.ts";

/** All mistakes that the simulator is known to find. */
export const PLANTED_BUGS: PlantedBugs = {
  ...FOLD_BUGS,
  ...STORE_BUGS,
  ...LETTER_BUGS,
  ...LOG_BUGS,
  ...CART_BUGS,
  ...FLEET_BUGS,
  ...STANDBY_BUGS,
  ...SNAPSHOT_BUGS,
  ...SHARING_BUGS,
};
