/**
 * Whether something could not get the memory that it asked for: JavaScriptCore's RangeError, or the system's ENOMEM.
 * Where the engine itself gets none, or the kernel ends the process, nothing is thrown.
 */
export const isOutOfMemory = (e: unknown): boolean =>
  e instanceof Error && (/\bout of memory$/i.test(e.message) || (e as NodeJS.ErrnoException).code === "ENOMEM");

/** What to do about it. */
export const OUT_OF_MEMORY =
  "The process did not get the memory that it asked for, and ends: give it 512 MiB (the container's or the unit's memory limit), and no ulimit -v below 2 GiB. If BUN_JSC_forceRAMSize was set to more than 268435456, set it lower; see “How much does it take?” in docs/operating.md.";
