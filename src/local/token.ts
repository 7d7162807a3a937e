// npm run token: prints a token, signed by JWT_SECRET, or by the local cluster that runs on PORT.
import { parseArgs } from "node:util";
import { SignJWT } from "jose";

const DEFAULT_PORT = "3000";
const DEFAULT_TTL_SECONDS = 3_600;
const DEFAULT_PERMISSIONS = "join,send,signal,history";
const USAGE = `npm run token -- --sub ada --room 'chat:*' [--room …] [--name Ada] [--permissions ${DEFAULT_PERMISSIONS}] [--ttl ${DEFAULT_TTL_SECONDS}]`;

interface Claims {
  readonly sub: string;
  readonly name?: string;
  readonly rooms: Readonly<Record<string, readonly string[]>>;
  readonly ttlSeconds: number;
}

function claimsOf(args: readonly string[]): Claims {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sub: { type: "string" },
      name: { type: "string" },
      room: { type: "string", multiple: true },
      permissions: { type: "string", default: DEFAULT_PERMISSIONS },
      ttl: { type: "string", default: String(DEFAULT_TTL_SECONDS) },
    },
  });
  if (!values.sub) throw new Error("--sub is required: the user's id");
  if (!values.room?.length) throw new Error("--room is required: a room's name, or a pattern such as 'chat:*'");
  const ttlSeconds = Number(values.ttl);
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1) throw new Error("--ttl must be a whole number of seconds");
  const permissions = values.permissions.split(",").map((permission) => permission.trim());
  const rooms = Object.fromEntries(values.room.map((pattern) => [pattern, permissions]));
  return { sub: values.sub, rooms, ttlSeconds, ...(values.name !== undefined && { name: values.name }) };
}

async function sign({ sub, ttlSeconds, ...claims }: Claims, secret: string): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  const { JWT_ISSUER, JWT_AUDIENCE } = process.env;
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setSubject(sub).setIssuedAt(now);
  jwt.setExpirationTime(now + ttlSeconds);
  if (JWT_ISSUER) jwt.setIssuer(JWT_ISSUER);
  if (JWT_AUDIENCE) jwt.setAudience(JWT_AUDIENCE);
  return await jwt.sign(new TextEncoder().encode(secret));
}

async function askCluster(claims: Claims): Promise<string> {
  const url = `http://127.0.0.1:${process.env.PORT || DEFAULT_PORT}/dev/token`;
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(claims),
  }).catch(() => {
    throw new Error(`nothing answers at ${url}: run npm start, or set JWT_SECRET`);
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${text}`);
  const { token } = JSON.parse(text) as { token: string };
  return token;
}

try {
  const claims = claimsOf(process.argv.slice(2));
  const secret = process.env.JWT_SECRET?.split(",")[0];
  console.log(await (secret ? sign(claims, secret) : askCluster(claims)));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  console.error(USAGE);
  process.exitCode = 1;
}
