import { createHash, timingSafeEqual } from "node:crypto";

/** The keys of the application's servers. Only their hashes are kept, and comparing takes the same time for all. */
export class ApiKeys {
  readonly #hashes: readonly Buffer[];

  constructor(keys: readonly string[]) {
    this.#hashes = keys.map(hash);
  }

  get isEmpty(): boolean {
    return this.#hashes.length === 0;
  }

  /** Whether the value of an `Authorization` header is `Bearer` and one of the keys. */
  accepts(authorization: string | undefined): boolean {
    const key = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1];
    if (key === undefined) return false;
    const given = hash(key);
    let found = false;
    for (const known of this.#hashes) found = timingSafeEqual(known, given) || found;
    return found;
  }
}

function hash(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
