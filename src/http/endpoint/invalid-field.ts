import { AppError } from "../../errors.ts";

/**
 * The error for a parameter, or a field of a body, that is not as it must be. `detail` is a sentence that names it.
 */
export const invalidField = (field: string, detail: string): AppError =>
  new AppError("INVALID_FIELD", detail, { errors: [{ field, detail }] });
