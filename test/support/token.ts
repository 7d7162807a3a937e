import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";

/** The secret of every node that the tests start. */
export const JWT_SECRET = "a-secret-for-tests-only-0123456789abcdef";
/** The API key of every node that the tests start. */
export const API_KEY = "api-key-for-tests-only";
const DEFAULT_TTL_SECONDS = 3_600;

interface TokenClaims {
  sub?: string;
  name?: string;
  /** Room patterns to permissions; all permissions in every room by default. */
  rooms?: Record<string, string[]>;
  /** Seconds until it expires; negative for a token that has expired. */
  ttl?: number;
  secret?: string;
}

/** A token that the tests' nodes accept. */
export async function signToken(claims: TokenClaims = {}): Promise<string> {
  const { sub = `user-${randomUUID()}`, name, rooms = { "*": ["*"] }, ttl = DEFAULT_TTL_SECONDS } = claims;
  const now = Math.floor(Date.now() / 1_000);
  return await new SignJWT({ rooms, ...(name !== undefined && { name }) })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(sub)
    .setIssuedAt(now)
    .setExpirationTime(now + ttl)
    .sign(new TextEncoder().encode(claims.secret ?? JWT_SECRET));
}
