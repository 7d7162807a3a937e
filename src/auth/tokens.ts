import { subtle, type webcrypto } from "node:crypto";
import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from "jose";
import * as z from "zod";
import { RoomcastError } from "../errors.ts";
import { checkFields } from "../fields.ts";
import { BOUNDS, userSchema } from "../protocol.ts";
import { compilePermissions, type Permissions, roomsSchema } from "./permissions.ts";
import { RemoteKeys, type RemoteKeysOptions } from "./remote-keys.ts";

/** How tokens are verified: by secrets shared with whoever signs, or by public keys that a server publishes. */
export type TokenKeys =
  | {
      readonly kind: "secrets";
      /** At least one: the first signs development tokens, all verify. */
      readonly secrets: readonly Uint8Array[];
      /** Made at the start of this process, and known to no other. */
      readonly generated: boolean;
    }
  | { readonly kind: "jwks"; readonly url: URL };

export interface TokenSettings {
  readonly keys: TokenKeys;
  /** What the claim `iss` must be, if anything. */
  readonly issuer: string | undefined;
  /** What the claim `aud` must have, if anything. */
  readonly audience: string | undefined;
}

/** Who a valid token stands for. */
export interface Identity {
  readonly user: string;
  readonly name: string | undefined;
  /** Unix milliseconds: from then on the token counts for nothing. */
  readonly expiresAt: number;
  readonly permissions: Permissions;
}

/** By how much the clock of whoever signs may be ahead, for the claim `nbf`. `exp` is taken at its word. */
const NOT_BEFORE_TOLERANCE_SECONDS = 5;
/** Most bytes of a token. */
const MAX_TOKEN_BYTES = 64 * 1024;

const SECRET_ALGORITHMS = ["HS256"];
const JWKS_ALGORITHMS = ["RS256", "ES256", "EdDSA"];

export const subjectSchema = userSchema.refine((user) => user !== BOUNDS.serverUser, {
  message: `must not be ${JSON.stringify(BOUNDS.serverUser)}: it stands for the application's own servers`,
});
export const displayNameSchema = z
  .string()
  .refine((name) => Buffer.byteLength(name) <= BOUNDS.nameBytes && name.isWellFormed(), {
    message: `must be at most ${BOUNDS.nameBytes} bytes of well-formed Unicode`,
  });

const claimsSchema = z.object({
  sub: subjectSchema,
  name: displayNameSchema.optional(),
  exp: z
    .int()
    .min(0)
    .max(Math.floor(Number.MAX_SAFE_INTEGER / 1000)),
  rooms: roomsSchema.optional(),
});

type VerifyWithKey = (token: string) => Promise<JWTPayload>;

function unauthorized(message: string, cause?: unknown): RoomcastError {
  return new RoomcastError("unauthorized", message, { cause });
}

function expired(cause?: unknown): RoomcastError {
  return new RoomcastError("token_expired", undefined, { cause });
}

function claimProblem(error: errors.JWTClaimValidationFailed, settings: TokenSettings): string {
  const { claim, reason } = error;
  if (reason === "missing") return `claim ${claim} is required`;
  if (claim === "nbf" && reason === "check_failed") return "claim nbf: the token is not valid yet";
  if (claim === "iss" && reason === "check_failed") return `claim iss must be ${JSON.stringify(settings.issuer)}`;
  if (claim === "aud" && reason === "check_failed") return `claim aud must be ${JSON.stringify(settings.audience)}`;
  return `claim ${claim} is not valid`;
}

/** Turns what jose throws into an error that says what to do. */
function refusal(error: unknown, settings: TokenSettings, algorithms: readonly string[]): unknown {
  if (error instanceof errors.JWTExpired) return expired(error);
  if (error instanceof errors.JWTClaimValidationFailed) return unauthorized(claimProblem(error, settings), error);
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return unauthorized("the token's signature does not fit: sign it with a key that this server knows", error);
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return unauthorized(`the token must be signed with ${algorithms.join(", ")}`, error);
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return unauthorized("the token is signed with a key that JWKS_URL does not have", error);
  }
  if (error instanceof errors.JOSEError) return unauthorized("the token is not a signed JWT", error);
  return error;
}

function hmacKey(secret: Uint8Array): Promise<webcrypto.CryptoKey> {
  return subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

function withSecrets(secrets: readonly Uint8Array[], options: JWTVerifyOptions): VerifyWithKey {
  // Imported once: of anything else jose would make such a key anew for each token.
  const keys = secrets.map((secret) => hmacKey(secret));
  return async (token) => {
    let failure: unknown;
    for (const key of keys) {
      try {
        return (await jwtVerify(token, await key, options)).payload;
      } catch (error) {
        failure = error;
        if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
      }
    }
    throw failure;
  };
}

function withJwks(remote: RemoteKeys, options: JWTVerifyOptions): VerifyWithKey {
  const keyOf: JWTVerifyGetKey = (header, token) => remote.keyOf(header, token);
  return async (token) => {
    try {
      return (await jwtVerify(token, keyOf, options)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      for await (const key of error) {
        try {
          return (await jwtVerify(token, key, options)).payload;
        } catch (failure) {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  };
}

/** Verifies tokens. The algorithm is the configuration's choice, never the token's. */
export class TokenVerifier {
  readonly #settings: TokenSettings;
  readonly #algorithms: readonly string[];
  readonly #payloadOf: VerifyWithKey;

  constructor(settings: TokenSettings, keysRead: RemoteKeysOptions = {}) {
    const { keys, issuer, audience } = settings;
    const algorithms = keys.kind === "secrets" ? SECRET_ALGORITHMS : JWKS_ALGORITHMS;
    const options: JWTVerifyOptions = {
      algorithms,
      clockTolerance: NOT_BEFORE_TOLERANCE_SECONDS,
      ...(issuer === undefined ? {} : { issuer }),
      ...(audience === undefined ? {} : { audience }),
    };
    this.#settings = settings;
    this.#algorithms = algorithms;
    this.#payloadOf =
      keys.kind === "secrets"
        ? withSecrets(keys.secrets, options)
        : withJwks(new RemoteKeys(keys.url, keysRead), options);
  }

  /**
   * Who the token stands for. Rejects with `unauthorized` (the message names the claim at fault), `token_expired`,
   * or `unavailable` where the keys cannot be read.
   */
  async verify(token: string): Promise<Identity> {
    if (token === "") throw unauthorized("a token is required: pass it as auth.token or as Authorization: Bearer");
    if (Buffer.byteLength(token) > MAX_TOKEN_BYTES) {
      throw unauthorized(`the token must be at most ${MAX_TOKEN_BYTES} bytes`);
    }
    let payload: JWTPayload;
    try {
      payload = await this.#payloadOf(token);
    } catch (error) {
      throw refusal(error, this.#settings, this.#algorithms);
    }
    const claims = checkFields(claimsSchema, payload, "the token's payload");
    if (!claims.ok) throw unauthorized(`claim ${claims.problems[0]}`);
    const { sub, name, exp, rooms } = claims.value;
    const expiresAt = exp * 1000;
    if (expiresAt <= Date.now()) throw expired();
    return { user: sub, name, expiresAt, permissions: compilePermissions(rooms ?? {}, sub) };
  }
}
