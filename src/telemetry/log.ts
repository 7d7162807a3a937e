import { type DestinationStream, type Logger, type LoggerOptions, pino, stdTimeFunctions } from "pino";
import { LogSampling } from "./log-sampling.ts";

export type { Logger };

/** pino's levels, loudest last but for `silent`. */
export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The fields that log lines use, beside pino's own `level`, `time`, `msg`, and `node`. Names are stable: searches depend on them. */
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
  /** A request's id, as the answer's header `X-Request-Id` tells it. */
  requestId?: string;
  /** Which connection to Redis: `commands`, `reads`, `subscriber` or `webhooks`. */
  role?: string;
  /** The name of an endpoint of webhooks, and how many events are meant. */
  endpoint?: string;
  events?: number;
  /** A hook of the embedding application, e.g. `afterSend`. */
  hook?: string;
  /** The life of a node that is gone. */
  incarnation?: string;
  /** Whether others tell that this node's members left. */
  announced?: boolean;
  /** Why, in the words of whoever says it. */
  reason?: string;
  /** Unix milliseconds of what was heard last. */
  since?: number;
  /** How long something was away, in milliseconds. */
  afterMs?: number;
  /** The signal that the process was sent. */
  signal?: string;
  /** What is wrong in a file, line by line. */
  problems?: readonly string[];
  /** Where the node listens. */
  host?: string;
  port?: number;
  adminPort?: number;
  apiPort?: number;
  /** So many lines of this text were held back before this one. */
  suppressed?: number;
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

/** pino's numbers of the levels whose lines are sampled: `info` to `error`. Who turns `debug` on wants all of it. */
const SAMPLED = { from: 30, to: 50 };

/** Holds back what comes too often, and says so in the next line of the same text. */
function sampled(): LoggerOptions["hooks"] {
  const sampling = new LogSampling();
  return {
    logMethod(args, method, level) {
      const [fields, text] = args as unknown as [unknown, unknown];
      const line = typeof fields === "string" ? fields : text;
      const isSampled = level >= SAMPLED.from && level <= SAMPLED.to && typeof line === "string";
      const suppressed = isSampled ? sampling.take(line) : 0;
      if (suppressed === undefined) return;
      if (suppressed === 0) method.apply(this, args);
      else method.apply(this, [{ ...(typeof fields === "object" && fields), suppressed }, line] as never);
    },
  };
}

/**
 * JSON lines on stdout, or into `destination`. Fields that hold secrets are replaced by `[redacted]`; of one text there are
 * at most 20 lines in 10 s, and the next one has `suppressed`.
 */
export function createLogger(level: LogLevel, node: string, destination?: DestinationStream): Logger {
  return pino(
    {
      level,
      base: { node },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: sampled(),
      redact: { paths: redacted(), censor: "[redacted]" },
    },
    destination,
  );
}
