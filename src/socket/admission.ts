import { type IncomingMessage, ServerResponse, STATUS_CODES } from "node:http";
import type { AddressOf } from "../client-address.ts";
import { ERRORS, RoomcastError } from "../errors.ts";
import { Budget, type Rate } from "../room/budget.ts";
import { sharedListener } from "../shared-listener.ts";
import { type Engine, type EngineSession, queryOf, sessionIdOf } from "./engine.ts";

/** How many sessions of one address may stand there unauthenticated beyond its limit, to be told why they are refused. */
const HANDSHAKES_PER_ADDRESS = 100;
/** By how much clients that are told when to come again are spread, in milliseconds. */
const SPREAD_MS = 2_000;

export interface AdmissionOptions {
  /** Whether the node has started: before that it does not know who is kept out. */
  readonly isOpen: () => boolean;
  readonly addressOf: AddressOf;
  /** Most sessions of one address. */
  readonly maxPerAddress: number;
  /** New sessions of this node. */
  readonly rate: Rate | "off";
  /** Most sessions that are not authenticated. */
  readonly maxHandshakes: number;
  /** How many are known: by our token, or by what a namespace of the embedding application asks for. */
  readonly authenticated: () => number;
  readonly refused: (error: RoomcastError) => void;
  /** New sessions came faster than `rate`. */
  readonly tooFast: () => void;
}

/**
 * The door: who may open a session at all. Whoever it refuses gets an HTTP answer and no session, which costs little, and
 * stock clients come again by themselves, later and later. What a client should be told instead is refused by
 * `requireRoomFor`, in the handshake.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #newcomers: Budget;
  readonly #byAddress = new Map<string, number>();
  readonly #addresses = new WeakMap<EngineSession, string>();
  readonly #onClose = sharedListener((session: EngineSession) => this.#closed(session));
  #sessions = 0;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#newcomers = new Budget(options.rate);
  }

  /** Stands before every request to Engine.IO; those of open sessions pass. */
  guard(engine: Engine): void {
    engine.use((request: IncomingMessage, response: unknown, next: () => void) => {
      ignoreJsonp(request);
      const refusal = sessionIdOf(request) === "" ? this.#refusal(request) : undefined;
      if (refusal === undefined) return next();
      this.#options.refused(refusal);
      answer(request, response, refusal);
    });
    engine.on("connection", (session: EngineSession) => this.#opened(session));
  }

  /** Throws `too_many_connections` where the session's address has more of them than it may have. */
  requireRoomFor(request: IncomingMessage): void {
    const address = this.#options.addressOf(request);
    if (address === undefined || (this.#byAddress.get(address) ?? 0) <= this.#options.maxPerAddress) return;
    throw tooMany(`your address has ${this.#options.maxPerAddress} connections to this node`, SPREAD_MS);
  }

  #refusal(request: IncomingMessage): RoomcastError | undefined {
    const { isOpen, addressOf, maxPerAddress, maxHandshakes, authenticated } = this.#options;
    if (!isOpen()) {
      return new RoomcastError("unavailable", "this node has not started yet: try again", { retryAfterMs: SPREAD_MS });
    }
    if (this.#sessions - authenticated() >= maxHandshakes) {
      return tooMany("this node waits for as many clients to authenticate as it may wait for", SPREAD_MS);
    }
    const address = addressOf(request);
    const known = address === undefined ? 0 : (this.#byAddress.get(address) ?? 0);
    if (known >= maxPerAddress + HANDSHAKES_PER_ADDRESS) {
      return tooMany(`your address has ${maxPerAddress} connections to this node`, SPREAD_MS);
    }
    const waitMs = this.#newcomers.take();
    if (waitMs === undefined) return undefined;
    this.#options.tooFast();
    return tooMany("this node takes in as many new connections as it may: try again a little later", waitMs);
  }

  #opened(session: EngineSession): void {
    const address = this.#options.addressOf(session.request);
    this.#sessions += 1;
    if (address !== undefined) this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
    if (address !== undefined) this.#addresses.set(session, address);
    // Engine.IO tells it once.
    session.on("close", this.#onClose);
  }

  #closed(session: EngineSession): void {
    this.#sessions -= 1;
    const address = this.#addresses.get(session);
    if (address === undefined) return;
    const left = (this.#byAddress.get(address) ?? 0) - 1;
    if (left > 0) this.#byAddress.set(address, left);
    else this.#byAddress.delete(address);
  }
}

/** Whoever is told the same moment would come at the same moment. */
function tooMany(message: string, waitMs: number): RoomcastError {
  const retryAfterMs = Math.ceil(waitMs + Math.random() * SPREAD_MS);
  return new RoomcastError("too_many_connections", message, { retryAfterMs });
}

/** No client of this protocol polls by JSONP, whose bodies hide their packets from the bound on them: it is plain polling. */
function ignoreJsonp(request: IncomingMessage): void {
  Reflect.deleteProperty(queryOf(request), "j");
}

/** The error object as an HTTP answer. For an upgrade Engine.IO has no way to say a status: it is written by hand. */
function answer(request: IncomingMessage, response: unknown, error: RoomcastError): void {
  const { status } = ERRORS[error.code];
  const body = JSON.stringify(error.toWire());
  const headers: Record<string, string> = {
    "Content-Type": "application/json",
    "Content-Length": String(Buffer.byteLength(body)),
    "Retry-After": String(Math.ceil((error.retryAfterMs ?? 0) / 1000)),
    Connection: "close",
  };
  if (response instanceof ServerResponse) {
    response.writeHead(status, headers).end(body);
    return;
  }
  const { socket } = request;
  socket.on("error", () => socket.destroy());
  // Its client may never close it, and no time-out of the HTTP server is for it any more.
  socket.once("finish", () => socket.destroy());
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`);
}
