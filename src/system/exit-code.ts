/** An unexpected failure. */
export const EXIT_FAILED = 1;
/** The program could not begin because of the command, a setting, or what a setting names. */
export const EXIT_USAGE = 2;
