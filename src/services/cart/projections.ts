import type { Projections } from "../../runtime/projections.ts";
import type { Projection } from "../../runtime/projection.ts";
import type { IndexView } from "./index/index-projection.ts";

/** The projections into which the cart service folds a partition, each in files of its own. */
export const cartProjections = (index: Projection<IndexView>): Projections => [index];
