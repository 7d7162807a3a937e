import type { Server, Socket } from "socket.io";
import type { EngineSession } from "./engine.ts";

/** The namespace that Roomcast serves. */
const MAIN = "/";

/**
 * Sessions that some namespace has let in: ours by a token, one of the embedding application's by whatever it asks for. To
 * the door they are no strangers any more that may still have to authenticate.
 */
export class KnownSessions {
  readonly #sockets = new Map<EngineSession, number>();
  readonly #strangerMs: number;
  /** Sessions that no namespace has let in any more, each with what calls its end off. */
  readonly #strangers = new Map<EngineSession, () => void>();

  /** `strangerMs`: for how long a session may stay that no namespace has let in any more, in milliseconds. */
  constructor(io: Server, strangerMs: number) {
    this.#strangerMs = strangerMs;
    io.on("new_namespace", (namespace) => {
      if (namespace.name === MAIN) return;
      namespace.on("connection", (socket: Socket) => {
        if (!socket.connected) return;
        this.add(socket);
        socket.once("disconnect", () => this.remove(socket));
      });
    });
  }

  get size(): number {
    return this.#sockets.size;
  }

  /** A session may have one socket in each namespace; it counts once, until the last of them is gone. */
  add({ conn }: Socket): void {
    this.#strangers.get(conn)?.();
    this.#sockets.set(conn, (this.#sockets.get(conn) ?? 0) + 1);
  }

  /** Once the socket is disconnected. A session that is left with none is ended: Socket.IO's own deadline was for its first one. */
  remove({ conn }: Socket): void {
    const left = (this.#sockets.get(conn) ?? 0) - 1;
    if (left > 0) {
      this.#sockets.set(conn, left);
      return;
    }
    this.#sockets.delete(conn);
    if (conn.readyState === "open") this.#endLater(conn);
  }

  #endLater(conn: EngineSession): void {
    const timer = setTimeout(() => conn.close(), this.#strangerMs).unref();
    const callOff = () => {
      clearTimeout(timer);
      conn.off("close", callOff);
      this.#strangers.delete(conn);
    };
    conn.on("close", callOff);
    this.#strangers.set(conn, callOff);
  }
}
