/** Money is an integer number of hundredths, in every currency. This is 1,000,000,000,000.00: far inside what a JS number holds exactly. */
export const MONEY_HUNDREDTHS_MAX = 1e14;

/**
 * A JSON number as hundredths, rounded half up on its shortest decimal form, which is what its sender wrote: 1.005 gives 101
 * although the double nearest to it lies below the tie. Undefined for NaN, a negative and what exceeds MONEY_HUNDREDTHS_MAX.
 */
export function parseMoney(n: number): number | undefined {
  // Adding 0 makes 0 of −0.
  const scaled = n * 100 + 0;
  if (!(scaled >= 0 && scaled < MONEY_HUNDREDTHS_MAX + 1)) return undefined;
  const whole = Math.floor(scaled);
  const fraction = scaled - whole;
  // `scaled` lies within 2^-52 of the decimal's hundredfold, relatively: further than that from a tie, its own rounding is right.
  const nearTie = Math.abs(fraction - 0.5) <= scaled * 1e-15;
  const hundredths = nearTie ? roundDecimal(n) : fraction > 0.5 ? whole + 1 : whole;
  return hundredths <= MONEY_HUNDREDTHS_MAX ? hundredths : undefined;
}

/** Near a tie, so at least 0.004 and at most 1e12: written without an exponent and with three decimals or more. */
function roundDecimal(n: number): number {
  const text = String(n);
  const dot = text.indexOf(".");
  const truncated = Number(text.slice(0, dot) + text.slice(dot + 1, dot + 3));
  return text.charCodeAt(dot + 3) >= FIVE ? truncated + 1 : truncated;
}

const FIVE = 53;

/** `"1235.43"`, `"150.00"`: two decimals, a valid JSON number. */
export function formatMoney(hundredths: number): string {
  const cents = hundredths % 100;
  return `${(hundredths - cents) / 100}${cents < 10 ? ".0" : "."}${cents}`;
}

/** Shipping is 2 % of the total, rounded half up. Both in hundredths. */
export const shippingCost = (total_hundredths: number): number => Math.floor((total_hundredths * 2 + 50) / 100);

/** In hundredths; undefined when it exceeds MONEY_HUNDREDTHS_MAX. */
export function lineTotal(quantity: number, price_hundredths: number): number | undefined {
  const total = quantity * price_hundredths;
  return total <= MONEY_HUNDREDTHS_MAX ? total : undefined;
}

/** The sum of the lines in hundredths; undefined when it exceeds MONEY_HUNDREDTHS_MAX. */
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
