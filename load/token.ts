import { SignJWT } from "jose";

/** Longer than any stay. */
const TTL_SECONDS = 24 * 60 * 60;
const ROOMS = { "load:*": ["join", "send", "signal", "history"] };

/**
 * A token for one virtual user: signed by `JWT_SECRET` where the environment has one, else from `POST /dev/token` of the
 * target.
 */
export async function tokenFor(sub: string, target: string): Promise<string> {
  const { JWT_SECRET = "", JWT_ISSUER, JWT_AUDIENCE } = process.env;
  // As the nodes read it: the first of several signs.
  const secret = JWT_SECRET.split(",")[0]?.trim();
  if (!secret) return await ask(sub, target);
  const jwt = new SignJWT({ rooms: ROOMS }).setProtectedHeader({ alg: "HS256" }).setSubject(sub).setIssuedAt();
  jwt.setExpirationTime(Math.floor(Date.now() / 1_000) + TTL_SECONDS);
  if (JWT_ISSUER) jwt.setIssuer(JWT_ISSUER);
  if (JWT_AUDIENCE) jwt.setAudience(JWT_AUDIENCE);
  return await jwt.sign(new TextEncoder().encode(secret));
}

async function ask(sub: string, target: string): Promise<string> {
  const url = new URL("/dev/token", target);
  const body = JSON.stringify({ sub, rooms: ROOMS, ttlSeconds: TTL_SECONDS });
  const answer = await fetch(url, { method: "POST", body }).catch(() => {
    throw new Error(`nothing answers at ${url.origin}`);
  });
  if (!answer.ok) throw new Error(`POST /dev/token answers ${answer.status}: set JWT_SECRET to the target's`);
  const { token } = (await answer.json()) as { token: string };
  return token;
}
