import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from "jose";
import { RoomcastError } from "../errors.ts";
import { answerText } from "./answer-text.ts";

/** Most bytes of a key set: some hundred keys. */
export const MAX_JWKS_BYTES = 256 * 1024;
/** For one reading of the key set, body included, in milliseconds. */
export const JWKS_TIMEOUT_MS = 2_000;
/** So long keys are used without looking whether they are still there, in milliseconds: it is how long one that was withdrawn counts. */
export const JWKS_MAX_AGE_MS = 600_000;
/** Between two readings, however many unknown keys are named meanwhile, in milliseconds. */
export const JWKS_COOLDOWN_MS = 10_000;
/** As the cooldown, while there are no keys at all. */
export const JWKS_RETRY_MS = 1_000;
/** So long keys are used while their server cannot be read, in milliseconds. */
export const JWKS_KEPT_MS = 24 * 60 * 60 * 1_000;

export interface RemoteKeysOptions {
  /** The key set cannot be read, for the first time since it could. */
  readonly lost?: (error: unknown) => void;
  /** It can be read again. */
  readonly back?: () => void;
  /** Milliseconds that never run backwards. */
  readonly now?: () => number;
}

type KeyOf = ReturnType<typeof createLocalJWKSet>;

/**
 * The public keys that a server publishes (RFC 7517), read when they are needed: at first, when they are old, and when a
 * token names one that is not there, but never more often than the cooldown allows. While the server is away, slow or
 * broken the keys that were read last go on.
 */
export class RemoteKeys {
  readonly #url: URL;
  readonly #options: RemoteKeysOptions;
  readonly #now: () => number;
  #keys: { readonly keyOf: KeyOf; readonly readAt: number } | undefined;
  #reading: Promise<void> | undefined;
  /** No reading before this moment. */
  #notBefore = 0;
  #isLost = false;

  constructor(url: URL, options: RemoteKeysOptions = {}) {
    this.#url = url;
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** As jose asks for a key. Rejects with jose's errors where none fits, and with `unavailable` where there are no keys. */
  async keyOf(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    if (!this.#areYoungerThan(JWKS_MAX_AGE_MS)) await this.#read();
    try {
      return await this.#known()(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#read();
      return await this.#known()(header, token);
    }
  }

  #areYoungerThan(ageMs: number): boolean {
    return this.#keys !== undefined && this.#now() - this.#keys.readAt < ageMs;
  }

  #known(): KeyOf {
    if (this.#keys !== undefined && this.#areYoungerThan(JWKS_KEPT_MS)) return this.#keys.keyOf;
    throw new RoomcastError("unavailable", "the keys that verify tokens cannot be read at present: try again");
  }

  /** Resolves also where nothing could be read, or not yet again. */
  async #read(): Promise<void> {
    if (this.#reading === undefined) {
      if (this.#now() < this.#notBefore) return;
      this.#reading = this.#readNow().finally(() => {
        this.#reading = undefined;
      });
    }
    await this.#reading;
  }

  async #readNow(): Promise<void> {
    try {
      const keyOf = createLocalJWKSet(await readKeySet(this.#url));
      this.#keys = { keyOf, readAt: this.#now() };
      if (this.#isLost) this.#options.back?.();
      this.#isLost = false;
    } catch (error) {
      if (!this.#isLost) this.#options.lost?.(error);
      this.#isLost = true;
    }
    this.#notBefore = this.#now() + (this.#keys === undefined ? JWKS_RETRY_MS : JWKS_COOLDOWN_MS);
  }
}

async function readKeySet(url: URL): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    redirect: "error",
    signal: AbortSignal.timeout(JWKS_TIMEOUT_MS),
    headers: { accept: "application/jwk-set+json, application/json" },
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the server of JWKS_URL answered ${response.status}`);
  }
  // What is in it createLocalJWKSet checks.
  return JSON.parse(await answerText(response, MAX_JWKS_BYTES)) as JSONWebKeySet;
}
