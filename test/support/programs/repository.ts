import { join } from "node:path";

/** The directory that programs are started in. */
export const repository = join(import.meta.dir, "../../..");
