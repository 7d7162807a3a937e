/** What a failed acknowledgement, a `connect_error` and a problem document carry. Times are in milliseconds. */
export interface WireError {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  retryAfterMs?: number;
}

interface ErrorRow {
  /** What the caller reads when the place that fails has nothing better to say. */
  readonly message: string;
  /** The HTTP status of the same failure under `/v1`. */
  readonly status: number;
  /** Whether sending the same request again, unchanged, may work. */
  readonly retryable: boolean;
}

/** Every way in which Roomcast refuses something. README, docs and clients are checked against this table. */
export const ERRORS = {
  bad_request: { message: "the request is not valid", status: 400, retryable: false },
  unauthorized: { message: "a valid token is required", status: 401, retryable: false },
  token_expired: { message: "the token has expired: connect with a new one", status: 401, retryable: false },
  forbidden: { message: "the token does not allow this", status: 403, retryable: false },
  banned: { message: "you are banned from this room", status: 403, retryable: false },
  not_in_room: { message: "join the room first", status: 409, retryable: false },
  room_full: { message: "the room has as many members as its type allows", status: 409, retryable: true },
  too_many_rooms: {
    message: "this connection is in as many rooms as it may be: leave one",
    status: 409,
    retryable: false,
  },
  too_many_connections: { message: "too many connections: try again later", status: 429, retryable: true },
  payload_too_large: { message: "the payload is too large", status: 413, retryable: false },
  rate_limited: { message: "too many requests: slow down", status: 429, retryable: true },
  superseded: { message: "a newer request took the place of this one", status: 409, retryable: false },
  not_found: { message: "there is no such thing", status: 404, retryable: false },
  unavailable: {
    message: "the outcome is unknown, Redis is away: send again with the same id",
    status: 503,
    retryable: true,
  },
  internal: { message: "something broke on our side: it is in the log", status: 500, retryable: false },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** The table of README.md, in Markdown. */
export function errorsTable(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { message, status, retryable }]) =>
      `| \`${code}\` | ${status} | ${retryable ? "yes" : "no"} | ${message} |`,
  );
  return [
    "| code | HTTP | retry | what it says, where nothing is more precise |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

/** The only error that reaches a client with its own words; everything else becomes `internal`. */
export class RoomcastError extends Error {
  override readonly name = "RoomcastError";
  readonly code: ErrorCode;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message?: string, options: { retryAfterMs?: number; cause?: unknown } = {}) {
    super(message ?? ERRORS[code].message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The shape of this error on the wire. */
  toWire(): WireError {
    const wire: WireError = { code: this.code, message: this.message, retryable: ERRORS[this.code].retryable };
    if (this.retryAfterMs !== undefined) wire.retryAfterMs = this.retryAfterMs;
    return wire;
  }
}

/** The store is there, and this service's user in it lacks a right: whoever runs it can grant that. Clients see `internal`. */
export class MissingRight extends Error {
  override readonly name = "MissingRight";
}

/** The refusal of a user who is banned from a room, or with `"everywhere"` blocked, until then (Unix milliseconds). */
export function bannedUntil(until: number, from: "this room" | "everywhere" = "this room"): RoomcastError {
  const end = new Date(until).toISOString();
  return new RoomcastError(
    "banned",
    from === "this room" ? `you are banned from this room until ${end}` : `you are blocked until ${end}`,
  );
}
