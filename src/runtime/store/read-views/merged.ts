/** Two ascending sequences as one. `isBefore` is the order of both. */
export function* merged<Row>(
  some: Iterator<Row, void>,
  others: Iterator<Row, void>,
  isBefore: (a: Row, b: Row) => boolean,
): Generator<Row> {
  try {
    let [one, other] = [some.next(), others.next()];
    while (!one.done || !other.done) {
      if (other.done || (!one.done && isBefore(one.value, other.value))) {
        if (one.done) return;
        yield one.value;
        one = some.next();
      } else {
        yield other.value;
        other = others.next();
      }
    }
  } finally {
    some.return?.();
    others.return?.();
  }
}
