import { createHmac } from "node:crypto";

/** The secret of Roomcast's nodes in the benchmarks, which listen on loopback and end with them. */
export const TOKEN_SECRET = "a-secret-for-benchmarks-only-0123456789";
const LIFE_SECONDS = 3_600;
const HEADER = encode({ alg: "HS256", typ: "JWT" });

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** A token for all rooms, such as an application would sign; made without a library, as the load must cost little. */
export function signedToken(user: string): string {
  const now = Math.floor(Date.now() / 1_000);
  const claims = { sub: user, rooms: { "*": ["join", "send", "history"] }, iat: now, exp: now + LIFE_SECONDS };
  const text = `${HEADER}.${encode(claims)}`;
  return `${text}.${createHmac("sha256", TOKEN_SECRET).update(text).digest("base64url")}`;
}
