/** Event ids that have left their record and are not in the table yet, in the order in which they left. */
export class SpilledIds {
  #ids: string[] = [];
  readonly #all = new Set<string>();

  get count(): number {
    return this.#ids.length;
  }

  has(eventId: string): boolean {
    return this.#all.has(eventId);
  }

  add(eventIds: readonly string[]): void {
    for (const eventId of eventIds) {
      this.#ids.push(eventId);
      this.#all.add(eventId);
    }
  }

  /** Forgets the newest `count`. */
  dropNewest(count: number): void {
    for (const eventId of this.#ids.splice(this.#ids.length - count, count)) this.#all.delete(eventId);
  }

  /** Forgets the oldest `count`, which are in the table now. */
  dropOldest(count: number): void {
    for (const eventId of this.#ids.slice(0, count)) this.#all.delete(eventId);
    this.#ids = this.#ids.slice(count);
  }

  toArray(): readonly string[] {
    return this.#ids;
  }
}
