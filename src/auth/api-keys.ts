import { createHash, timingSafeEqual } from "node:crypto";

/** How much of a key's hash names it: enough that no two keys are taken for one. */
const NAME_BYTES = 12;

interface KnownKey {
  readonly hash: Buffer;
  readonly name: string;
}

/** The keys of the application's servers. Only their hashes are kept, and comparing takes the same time for all. */
export class ApiKeys {
  readonly #keys: readonly KnownKey[];

  constructor(keys: readonly string[]) {
    this.#keys = keys.map((key) => {
      const digest = hash(key);
      return { hash: digest, name: digest.toString("base64url", 0, NAME_BYTES) };
    });
  }

  get isEmpty(): boolean {
    return this.#keys.length === 0;
  }

  /** Whether the value of an `Authorization` header is `Bearer` and one of the keys. */
  accepts(authorization: string | undefined): boolean {
    return this.nameOf(authorization) !== undefined;
  }

  /** As `accepts`: a name that tells the key from all others, the same on every node, and does not give it away. */
  nameOf(authorization: string | undefined): string | undefined {
    const key = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1];
    if (key === undefined) return undefined;
    const given = hash(key);
    let name: string | undefined;
    for (const known of this.#keys) if (timingSafeEqual(known.hash, given)) name = known.name;
    return name;
  }
}

function hash(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}
