/**
 * The largest amount, 1,000,000,000,000.00, well below the largest integer that a number holds exactly. Money is an
 * integer number of hundredths in every currency.
 */
export const MONEY_HUNDREDTHS_MAX = 1e14;

/**
 * Turns a JSON number into hundredths. It rounds half up on the number's shortest decimal form, which is what its
 * sender wrote: 1.005 gives 101, although the nearest double lies below the tie. Undefined for NaN, for a negative
 * number and for more than MONEY_HUNDREDTHS_MAX.
 */
export function parseMoney(n: number): number | undefined {
  // Adding 0 turns −0 into 0.
  const scaled = n * 100 + 0;
  if (!(scaled >= 0 && scaled < MONEY_HUNDREDTHS_MAX + 1)) return undefined;
  const whole = Math.floor(scaled);
  const fraction = scaled - whole;
  // `scaled` has a relative error of at most 2^-52, so unless it is that near to a tie, rounding it is right.
  const nearTie = Math.abs(fraction - 0.5) <= scaled * 1e-15;
  const hundredths = nearTie ? roundDecimal(n) : fraction > 0.5 ? whole + 1 : whole;
  return hundredths <= MONEY_HUNDREDTHS_MAX ? hundredths : undefined;
}

/**
 * Rounds by the decimals. Near a tie `n` is 0.004 to 1e12, so its text has no exponent and at least three decimals.
 */
function roundDecimal(n: number): number {
  const text = String(n);
  const dot = text.indexOf(".");
  const truncated = Number(text.slice(0, dot) + text.slice(dot + 1, dot + 3));
  return text.charCodeAt(dot + 3) >= FIVE ? truncated + 1 : truncated;
}

const FIVE = 53;

/** The amount as a JSON number with two decimals: `1235.43`, `150.00`. */
export function formatMoney(hundredths: number): string {
  const cents = hundredths % 100;
  return `${(hundredths - cents) / 100}${cents < 10 ? ".0" : "."}${cents}`;
}

/** Shipping costs 2 % of the total, rounded half up. Both are in hundredths. */
export const shippingCost = (total_hundredths: number): number => Math.floor((total_hundredths * 2 + 50) / 100);

/** The line's total in hundredths; undefined where it exceeds MONEY_HUNDREDTHS_MAX. */
export function lineTotal(quantity: number, price_hundredths: number): number | undefined {
  const total = quantity * price_hundredths;
  return total <= MONEY_HUNDREDTHS_MAX ? total : undefined;
}

/** The sum of the lines in hundredths; undefined where it exceeds MONEY_HUNDREDTHS_MAX. */
export function sumOfLines(
  lines: readonly { readonly quantity: number; readonly price_hundredths: number }[],
): number | undefined {
  let sum = 0;
  for (const line of lines) {
    sum += line.quantity * line.price_hundredths;
    if (sum > MONEY_HUNDREDTHS_MAX) return undefined;
  }
  return sum;
}
