import { CART_BUGS } from "./cart-bugs.ts";
import { FOLD_BUGS } from "./fold-bugs.ts";
import { LETTER_BUGS } from "./letter-bugs.ts";
import { LOG_BUGS } from "./log-bugs.ts";
import { STORE_BUGS } from "./store-bugs.ts";
import type { PlantedBugs } from "./planted-bug.ts";

/** All mistakes that the simulator is known to find. */
export const PLANTED_BUGS: PlantedBugs = { ...FOLD_BUGS, ...STORE_BUGS, ...LETTER_BUGS, ...LOG_BUGS, ...CART_BUGS };
