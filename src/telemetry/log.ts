import { type DestinationStream, type Logger, pino, stdTimeFunctions } from "pino";

export type { Logger };

/** pino's levels, loudest last but for `silent`. */
export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The fields that log lines use, beside pino's own `level`, `time`, `msg`, and `node`. Dashboards depend on the names. */
export interface LogFields {
  room?: string;
  user?: string;
  /** A connection's id, as `welcome` tells it. */
  connection?: string;
  /** The name of a client's request, or of a call of `/v1`, e.g. `sendMessage`. */
  request?: string;
  /** An error code of `ERRORS`. */
  code?: string;
  /** HTTP method and path, without the query. */
  method?: string;
  path?: string;
  /** What went wrong, with its stack and causes. */
  err?: unknown;
}

const SECRETS = [
  "authorization",
  "cookie",
  "set-cookie",
  "token",
  "auth",
  "secret",
  "secrets",
  "apiKey",
  "password",
  "x-api-key",
];

/** How deep a secret is looked for: `token`, `auth.token`, `handshake.auth.token`. */
const DEPTH = 3;

function redacted(): string[] {
  const paths: string[] = [];
  for (let depth = 0; depth < DEPTH; depth++) {
    for (const name of SECRETS) paths.push(`${"*.".repeat(depth)}["${name}"]`.replace(".[", "["));
  }
  // ioredis puts the refused command with all its arguments on its errors: bodies of messages, and passwords.
  paths.push("err.command", "err.previousErrors");
  return paths;
}

/** JSON lines on stdout, or into `destination`. Fields that hold secrets are replaced by `[redacted]`. */
export function createLogger(level: LogLevel, node: string, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { node },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redacted(), censor: "[redacted]" },
    },
    destination,
  );
}
