import type { Socket } from "socket.io";
import type { Identity, TokenVerifier } from "../auth/tokens.ts";
import { RoomcastError, type WireError } from "../errors.ts";

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
  const { auth, headers } = handshake;
  const fromAuth: unknown = auth.token;
  const bearer = /^Bearer (\S+)$/i.exec(headers.authorization ?? "")?.[1];
  // The adapter answers `fetchSockets` of other nodes with the whole handshake, through Redis.
  delete auth.token;
  delete headers.authorization;
  const token = typeof fromAuth === "string" && fromAuth !== "" ? fromAuth : bearer;
  if (token === undefined)
    throw new RoomcastError("unauthorized", "connect with auth: { token }, or Authorization: Bearer");
  return token;
}

export interface HandshakeEvents {
  rejected(error: RoomcastError): void;
  /** The verifying broke. */
  handshakeFailed(error: unknown): void;
}

/** Throws where a verified connection cannot be taken. */
type Admit = (socket: Socket, identity: Identity) => void;

/** Verified identities by socket. Not in `socket.data`: the adapter would publish them. */
export class Handshakes {
  readonly #identities = new WeakMap<Socket, Identity>();
  readonly #verifier: TokenVerifier;
  readonly #events: HandshakeEvents;

  constructor(verifier: TokenVerifier, events: HandshakeEvents) {
    this.#verifier = verifier;
    this.#events = events;
  }

  /** The middleware: nobody gets past it without a valid token. `admit` may refuse whom it has verified. */
  readonly middleware = (admit: Admit) => (socket: Socket, next: (error?: Error) => void) => {
    this.#verify(socket, admit).then(
      () => next(),
      (error: unknown) => next(this.#refusal(error)),
    );
  };

  /** The identity behind a socket that got past the middleware. */
  identityOf(socket: Socket): Identity {
    const identity = this.#identities.get(socket);
    if (identity === undefined) throw new Error("this socket was never verified");
    return identity;
  }

  async #verify(socket: Socket, admit: Admit): Promise<void> {
    const identity = await this.#verifier.verify(takeToken(socket));
    admit(socket, identity);
    this.#identities.set(socket, identity);
  }

  #refusal(error: unknown): RefusedConnection {
    const refusal = error instanceof RoomcastError ? error : new RoomcastError("internal", undefined, { cause: error });
    if (refusal !== error) this.#events.handshakeFailed(error);
    this.#events.rejected(refusal);
    return new RefusedConnection(refusal);
  }
}
