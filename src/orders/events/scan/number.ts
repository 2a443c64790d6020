import { MONEY_HUNDREDTHS_MAX } from "../../money.ts";
import { QUANTITY_MAX } from "../../order.ts";

const ZERO = 48;
const POINT = 46;

/** No amount has more digits before its point. */
const WHOLE_DIGITS_MAX = 13;
/** Digits after the second decimal. Up to here, they make an integer that a double holds exactly. */
const FURTHER_DIGITS_MAX = 15;
const QUANTITY_DIGITS_MAX = 7;
const POWERS = Float64Array.from({ length: FURTHER_DIGITS_MAX + 1 }, (_, exponent) => 10 ** exponent);

/** The number that was read last. */
export class NumberSlot {
  value = 0;
}

/** The position behind a quantity, 1 to QUANTITY_MAX without exponent or decimals; −1 where none stands at `at`. */
export function quantityEnd(view: DataView, at: number, to: number, slot: NumberSlot): number {
  const end = integerEnd(view, at, to, QUANTITY_DIGITS_MAX, slot);
  return slot.value >= 1 && slot.value <= QUANTITY_MAX ? end : -1;
}

/**
 * The position behind an amount, which `slot` then has as hundredths, as `parseMoney` makes them of the number; −1
 * where none stands at `at`, or where only `parseMoney` can tell how to round.
 *
 * `parseMoney` multiplies the nearest double by 100 and rounds that, with a relative error below 2.3e-16, unless it is
 * within 1e-15 of a tie. So what is written, if it is further from a tie than 1e-14, is rounded as it stands there.
 */
export function hundredthsEnd(view: DataView, at: number, to: number, slot: NumberSlot): number {
  let i = integerEnd(view, at, to, WHOLE_DIGITS_MAX, slot);
  if (i < 0) return -1;
  let hundredths = slot.value * 100;
  if (i < to && view.getUint8(i) === POINT) {
    i++;
    const first = digitAt(view, i, to);
    if (first < 0) return -1;
    i++;
    hundredths += first * 10;
    const second = digitAt(view, i, to);
    if (second >= 0) {
      i++;
      hundredths += second;
      if (digitAt(view, i, to) >= 0) {
        const from = i;
        let further = 0;
        for (let digit = digitAt(view, i, to); digit >= 0; digit = digitAt(view, i, to)) {
          if (i - from === FURTHER_DIGITS_MAX) return -1;
          further = further * 10 + digit;
          i++;
        }
        const fraction = further / (POWERS[i - from] as number);
        if (Math.abs(fraction - 0.5) <= (hundredths + 1) * 1e-14) return -1;
        if (fraction > 0.5) hundredths++;
      }
    }
  }
  slot.value = hundredths;
  return hundredths <= MONEY_HUNDREDTHS_MAX ? i : -1;
}

/** The position behind an integer of at most `digits_max` digits; −1 where none stands at `at`, or a zero leads it. */
function integerEnd(view: DataView, at: number, to: number, digits_max: number, slot: NumberSlot): number {
  const last = Math.min(to, at + digits_max + 1);
  let n = 0;
  let i = at;
  for (; i < last; i++) {
    const digit = view.getUint8(i) - ZERO;
    if (digit < 0 || digit > 9) break;
    n = n * 10 + digit;
  }
  const digits = i - at;
  slot.value = n;
  if (digits === 0 || digits > digits_max) return -1;
  return digits > 1 && view.getUint8(at) === ZERO ? -1 : i;
}

/** The digit at `at`; −1 where none stands there, before `to`. */
function digitAt(view: DataView, at: number, to: number): number {
  if (at >= to) return -1;
  const digit = view.getUint8(at) - ZERO;
  return digit > 9 ? -1 : digit;
}
