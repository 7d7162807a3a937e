import type { Namespace, Socket } from "socket.io";
import type { Identity, TokenVerifier } from "../auth/tokens.ts";
import { RoomcastError, type WireError } from "../errors.ts";
import type { EngineSession } from "./engine.ts";

/** So many handshakes of one session may fail before it is ended: each costs the checking of a signature. */
const MOST_FAILED = 10;

/** What Socket.IO sends as `connect_error`: its `data` is the error object of the protocol. */
class RefusedConnection extends Error {
  readonly data: WireError;

  constructor(error: RoomcastError) {
    super(error.message);
    this.data = error.toWire();
  }
}

/** The token that a client connects with: `auth: { token }`, or the header `Authorization: Bearer …`. */
function takeToken({ handshake }: Socket): string {
  const { auth } = handshake;
  const fromAuth: unknown = auth.token;
  const { authorization, ...headers } = handshake.headers;
  const bearer = /^Bearer (\S+)$/i.exec(authorization ?? "")?.[1];
  // The adapter answers `fetchSockets` of other nodes with the whole handshake, through Redis. Headers and query are the session's
  // own, by which its other namespaces and its next handshake are checked: they are left alone.
  const { token: _token, ...others } = auth;
  handshake.auth = others;
  if (authorization !== undefined) handshake.headers = headers;
  // Not a way to connect, but some clients put it there.
  if (handshake.query.token !== undefined) {
    const { token: _inQuery, ...query } = handshake.query;
    handshake.query = query;
    handshake.url = handshake.url.split("?", 1)[0] ?? "";
  }
  const token = typeof fromAuth === "string" && fromAuth !== "" ? fromAuth : bearer;
  if (token === undefined)
    throw new RoomcastError("unauthorized", "connect with auth: { token }, or Authorization: Bearer");
  return token;
}

export interface HandshakeEvents {
  rejected(error: RoomcastError): void;
  /** The verifying broke, for the socket of this id. */
  handshakeFailed(connection: string, error: unknown): void;
}

/** What a node asks of a handshake beside a valid token; each may throw. */
export interface HandshakeRules {
  /** Before anything is verified. */
  precheck(socket: Socket): void;
  /** Takes the place of a connection that was verified. */
  admit(socket: Socket, identity: Identity): void;
  /** All middlewares let it in, and its client is still there: Socket.IO answers it in this turn. */
  passed(socket: Socket): void;
  /** All middlewares are through, or the session is gone: the place is free again where no connection came to be. */
  settled(socket: Socket): void;
}

/** One transport's handshakes: stock clients have one under way at a time. */
interface Attempts {
  underWay: boolean;
  failed: number;
}

/** What is called at the end of one handshake. */
type Ends = Record<"passed" | "settled", () => void>;

/** Verified identities by socket. Not in `socket.data`: the adapter would publish them. */
export class Handshakes {
  readonly #identities = new WeakMap<Socket, Identity>();
  readonly #attempts = new WeakMap<EngineSession, Attempts>();
  readonly #underWay = new WeakMap<Socket, Ends>();
  readonly #verifier: TokenVerifier;
  readonly #events: HandshakeEvents;

  constructor(verifier: TokenVerifier, events: HandshakeEvents) {
    this.#verifier = verifier;
    this.#events = events;
  }

  /** The middleware: nobody gets past it without a valid token. */
  readonly middleware = (rules: HandshakeRules) => (socket: Socket, next: (error?: Error) => void) => {
    const { conn } = socket;
    const attempts = this.#attempts.get(conn) ?? { underWay: false, failed: 0 };
    this.#attempts.set(conn, attempts);
    if (attempts.underWay || attempts.failed >= MOST_FAILED) {
      conn.close();
      next(new RefusedConnection(new RoomcastError("bad_request", "one handshake at a time")));
      return;
    }
    attempts.underWay = true;
    const settled = () => {
      attempts.underWay = false;
      if (attempts.failed === 0) this.#attempts.delete(conn);
      conn.off("close", settled);
      rules.settled(socket);
    };
    this.#underWay.set(socket, { passed: () => rules.passed(socket), settled });
    // A middleware of the embedding application may never answer.
    conn.once("close", settled);
    this.#verify(socket, rules).then(
      () => {
        if (conn.readyState !== "open") settled();
        next();
      },
      (error: unknown) => {
        attempts.failed += 1;
        next(this.#refusal(socket.id, error));
      },
    );
  };

  /** Hears of the end of each handshake: other middlewares come after ours, and may take their time or refuse. */
  watch(namespace: Namespace): void {
    const run: unknown = Reflect.get(namespace, "run");
    if (typeof run !== "function") throw new Error("Socket.IO's namespace has no run: handshakes cannot be followed");
    Reflect.set(namespace, "run", (socket: Socket, done: (error?: Error) => void) => {
      const ended = (error?: Error) => {
        // Socket.IO makes the connection in the turn of `done`, if the client is still there.
        const ends = this.#underWay.get(socket);
        if (ends !== undefined) setImmediate(ends.settled);
        this.#underWay.delete(socket);
        if (!error && socket.conn.readyState === "open") ends?.passed();
        done(error);
      };
      Reflect.apply(run, namespace, [socket, ended]);
    });
  }

  /** The identity behind a socket that got past the middleware. */
  identityOf(socket: Socket): Identity {
    const identity = this.#identities.get(socket);
    if (identity === undefined) throw new Error("this socket was never verified");
    return identity;
  }

  async #verify(socket: Socket, rules: HandshakeRules): Promise<void> {
    const token = takeToken(socket);
    rules.precheck(socket);
    const identity = await this.#verifier.verify(token);
    rules.admit(socket, identity);
    this.#identities.set(socket, identity);
  }

  #refusal(connection: string, error: unknown): RefusedConnection {
    const refusal = error instanceof RoomcastError ? error : new RoomcastError("internal", undefined, { cause: error });
    if (refusal !== error) this.#events.handshakeFailed(connection, error);
    this.#events.rejected(refusal);
    return new RefusedConnection(refusal);
  }
}
