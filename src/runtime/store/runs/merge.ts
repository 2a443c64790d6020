import { NO_KEY, type RunReader } from "./run-reader.ts";
import type { RunWriter } from "./run-writer.ts";

/**
 * Appends the newest record of each key to the writer, in ascending order, until about `records_max` records are read
 * or all readers are at their end. Earlier readers are of newer runs. Returns the number of records read.
 */
export function merge(readers: readonly RunReader[], writer: RunWriter, records_max: number): number {
  const heads = Float64Array.from(readers, ({ key }) => key);
  const count = heads.length;
  let read = 0;
  while (read < records_max) {
    let least = NO_KEY;
    let next = NO_KEY;
    let newest = 0;
    for (let n = 0; n < count; n++) {
      const key = heads[n] as number;
      if (key < least) {
        next = least;
        least = key;
        newest = n;
      } else if (key < next) next = key;
    }
    if (least === NO_KEY) break;
    const reader = readers[newest] as RunReader;
    if (next === least) read += passOver(readers, heads, newest);
    do {
      append(writer, reader);
      reader.advance();
      read++;
    } while (reader.key < next && read < records_max);
    heads[newest] = reader.key;
  }
  return read;
}

/** Moves the readers of older records with the same key on. */
function passOver(readers: readonly RunReader[], heads: Float64Array, newest: number): number {
  const key = heads[newest] as number;
  let passed = 0;
  for (let n = newest + 1; n < heads.length; n++) {
    if (heads[n] !== key) continue;
    const reader = readers[n] as RunReader;
    reader.advance();
    heads[n] = reader.key;
    passed++;
  }
  return passed;
}

function append(writer: RunWriter, reader: RunReader): void {
  if (reader.long === undefined) writer.addWords(reader.key, reader.buffer, reader.start, reader.end);
  else writer.add(reader.key, reader.long, 0, reader.long.length);
}
