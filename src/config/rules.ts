import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { isLoopbackHost } from "../loopback.ts";
import type { Values, VariableName } from "../variables.ts";

/** A rule between variables; it is not asked where one of them is wrong by itself. */
interface Rule {
  readonly between: readonly VariableName[];
  readonly problem: string;
  broken(values: Values): boolean;
}

/** Whether secrets and addresses must be those of production. */
export const inProduction = (values: Values): boolean => values.NODE_ENV === "production";

const isPlainHttp = (url: URL | undefined): boolean => url?.protocol === "http:" && !isLoopbackHost(url.host);

const RULES: readonly Rule[] = [
  {
    between: ["NODE_ENV", "REDIS_URL"],
    problem: "REDIS_URL must be set in production; memory: runs one node without Redis",
    broken: (values) => inProduction(values) && values.REDIS_URL === undefined,
  },
  {
    between: ["REDIS_URL", "WEBHOOKS"],
    problem: "WEBHOOKS needs a REDIS_URL that is a server: in memory, events would be lost with the node",
    broken: ({ REDIS_URL: url, WEBHOOKS: path }) => path !== undefined && (url === undefined || url === "memory:"),
  },
  {
    between: ["REDIS_URL", "REDIS_CA", "REDIS_CERT"],
    problem: "REDIS_CA and REDIS_CERT need a REDIS_URL that begins with rediss://",
    broken: ({ REDIS_URL: url, REDIS_CA: ca, REDIS_CERT: cert }) =>
      (ca !== undefined || cert !== undefined) && url?.startsWith("rediss://") !== true,
  },
  {
    between: ["REDIS_CERT", "REDIS_KEY"],
    problem: "REDIS_CERT and REDIS_KEY must be set together",
    broken: (values) => (values.REDIS_CERT === undefined) !== (values.REDIS_KEY === undefined),
  },
  {
    between: ["REDIS_CA", "REDIS_CERT", "REDIS_KEY"],
    problem: "REDIS_CA, REDIS_CERT and REDIS_KEY must be certificates, and the key that fits them",
    broken: makesNoTls,
  },
  {
    between: ["NODE_ENV", "JWT_SECRET", "JWKS_URL"],
    problem: "JWT_SECRET or JWKS_URL must be set in production",
    broken: (values) => inProduction(values) && values.JWT_SECRET === undefined && values.JWKS_URL === undefined,
  },
  {
    between: ["JWT_SECRET", "JWKS_URL"],
    problem: "JWT_SECRET and JWKS_URL must not both be set: tokens are verified by the one or the other",
    broken: (values) => values.JWT_SECRET !== undefined && values.JWKS_URL !== undefined,
  },
  {
    between: ["NODE_ENV", "JWKS_URL"],
    problem: "JWKS_URL must be https:// in production, unless it is on loopback",
    broken: (values) => inProduction(values) && isPlainHttp(values.JWKS_URL),
  },
  {
    between: ["AUTHORIZE_URL", "AUTHORIZE_SECRET"],
    problem: "AUTHORIZE_URL and AUTHORIZE_SECRET must be set together: questions are signed",
    broken: (values) => (values.AUTHORIZE_URL === undefined) !== (values.AUTHORIZE_SECRET === undefined),
  },
  {
    between: ["NODE_ENV", "AUTHORIZE_URL"],
    problem: "AUTHORIZE_URL must be https:// in production, unless it is on loopback",
    broken: (values) => inProduction(values) && isPlainHttp(values.AUTHORIZE_URL),
  },
  {
    between: ["AUTHORIZE_TIMEOUT_MS", "REQUEST_TIMEOUT_MS"],
    problem: "AUTHORIZE_TIMEOUT_MS must be less than REQUEST_TIMEOUT_MS",
    broken: (values) => values.AUTHORIZE_URL !== undefined && values.AUTHORIZE_TIMEOUT_MS >= values.REQUEST_TIMEOUT_MS,
  },
  {
    between: ["PORT", "ADMIN_PORT"],
    problem: "ADMIN_PORT must not be the same as PORT",
    broken: (values) => values.ADMIN_PORT !== 0 && values.ADMIN_PORT === values.PORT,
  },
  {
    between: ["API_PORT", "ADMIN_PORT"],
    problem: "API_PORT must not be the same as ADMIN_PORT",
    broken: (values) => values.ADMIN_PORT !== 0 && values.ADMIN_PORT === values.API_PORT,
  },
  {
    between: ["TRUSTED_PROXIES", "MAX_CONNECTIONS_PER_ADDRESS"],
    problem: "MAX_CONNECTIONS_PER_ADDRESS needs TRUSTED_PROXIES: without it every client has the balancer's address",
    broken: (values) => values.MAX_CONNECTIONS_PER_ADDRESS !== undefined && values.TRUSTED_PROXIES === undefined,
  },
  {
    between: ["MAX_OUTBOUND_BYTES", "MAX_PAYLOAD_BYTES"],
    problem:
      "MAX_OUTBOUND_BYTES must not be less than MAX_PAYLOAD_BYTES: one answer would close the connection it is for",
    broken: (values) => values.MAX_OUTBOUND_BYTES < values.MAX_PAYLOAD_BYTES,
  },
  {
    between: ["PRESENCE_EVENTS_UP_TO_MEMBERS", "PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS"],
    problem: "PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS must not be more than PRESENCE_EVENTS_UP_TO_MEMBERS",
    broken: (values) => values.PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS > values.PRESENCE_EVENTS_UP_TO_MEMBERS,
  },
];

/** Whether these certificates and this key can be used together. */
function makesNoTls({ REDIS_CA: ca, REDIS_CERT: cert, REDIS_KEY: key }: Values): boolean {
  try {
    // A secure context passes over authorities that it cannot read.
    if (ca !== undefined) new X509Certificate(ca);
    createSecureContext({ ca, cert, key });
    return false;
  } catch {
    return true;
  }
}

/** What is wrong between the variables; those in `wrong` are wrong by themselves. */
export function brokenRules(values: Values, wrong: ReadonlySet<string>): string[] {
  const asked = RULES.filter(({ between }) => !between.some((name) => wrong.has(name)));
  return asked.filter((rule) => rule.broken(values)).map(({ problem }) => problem);
}
