import { randomBytes } from "node:crypto";
import { SignJWT } from "jose";
import * as z from "zod";
import { RoomcastError } from "../errors.ts";
import { checkFields } from "../fields.ts";
import { type RoomGrants, roomsSchema } from "./permissions.ts";
import { displayNameSchema, subjectSchema, type TokenSettings } from "./tokens.ts";

const DEFAULT_TTL_SECONDS = 3600;
const MAX_TTL_SECONDS = 30 * 24 * 60 * 60;
/** Bytes of randomness in the name of a guest. */
const GUEST_BYTES = 2;
const DEFAULT_ROOMS: RoomGrants = { "*": ["join", "send", "signal", "history"] };

const requestSchema = z.object({
  sub: subjectSchema.optional(),
  name: displayNameSchema.optional(),
  rooms: roomsSchema.default(DEFAULT_ROOMS),
  ttlSeconds: z.int().min(1).max(MAX_TTL_SECONDS).default(DEFAULT_TTL_SECONDS),
});

export interface DevToken {
  readonly token: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** What a development token says; `ttlSeconds` from now. */
export interface DevClaims {
  readonly sub: string;
  readonly name: string | undefined;
  readonly rooms: RoomGrants;
  readonly ttlSeconds: number;
}

/** Signs a token that this configuration verifies. Only secrets sign: with a JWKS there is no key to do it with. */
export async function signToken(
  secret: Uint8Array,
  claims: DevClaims,
  { issuer, audience }: Pick<TokenSettings, "issuer" | "audience">,
): Promise<DevToken> {
  const issuedAt = Math.floor(Date.now() / 1000);
  const exp = issuedAt + claims.ttlSeconds;
  const jwt = new SignJWT({ rooms: claims.rooms, ...(claims.name === undefined ? {} : { name: claims.name }) })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setSubject(claims.sub)
    .setIssuedAt(issuedAt)
    .setExpirationTime(exp);
  if (issuer !== undefined) jwt.setIssuer(issuer);
  if (audience !== undefined) jwt.setAudience(audience);
  return { token: await jwt.sign(secret), expiresAt: exp * 1000 };
}

/**
 * Answers `{sub?, name?, rooms?, ttlSeconds?}` of `POST /dev/token`: a guest who may do everything but moderate, for an
 * hour, where nothing else is asked for. Rejects with `bad_request` naming the field.
 */
export async function issueDevToken(
  secret: Uint8Array,
  request: unknown,
  settings: Pick<TokenSettings, "issuer" | "audience">,
): Promise<DevToken> {
  const checked = checkFields(requestSchema, request, "the request");
  if (!checked.ok) throw new RoomcastError("bad_request", checked.problems[0]);
  const { sub = `guest-${randomBytes(GUEST_BYTES).toString("hex")}`, name, rooms, ttlSeconds } = checked.value;
  return signToken(secret, { sub, name, rooms, ttlSeconds }, settings);
}
