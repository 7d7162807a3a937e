/**
 * Goes round and round through what comes and goes meanwhile, some of it at a time. Whatever is in it when a round begins has
 * its turn in that round: a live iterator of a `Set` or `Map` would never come to its end where more is added than it is asked for.
 */
export class Rounds<T> {
  readonly #all: () => Iterable<T>;
  #rest: Iterator<T, undefined> = [].values();

  /** `all`: what is in it now. What has gone since the round began is returned too: the caller looks. */
  constructor(all: () => Iterable<T>) {
    this.#all = all;
  }

  /** The next ones, at most `most`, none of them twice: fewer where there are fewer in all. */
  take(most: number): Set<T> {
    const taken = new Set<T>();
    let begun = false;
    while (taken.size < most) {
      const next = this.#rest.next();
      if (!next.done) {
        taken.add(next.value);
      } else if (begun) {
        break;
      } else {
        begun = true;
        this.#rest = [...this.#all()].values();
      }
    }
    return taken;
  }
}
