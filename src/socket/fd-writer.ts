import { writeSync } from "node:fs";
import { Socket as TcpSocket } from "node:net";
import type { Line } from "../feed/reader.ts";

/** Standard input, output and error: no client's. */
const LAST_STANDARD_FD = 2;

/** Node.js' own object under a socket, which its types hide; null once the socket is destroyed. */
type Handled = TcpSocket & { readonly _handle?: object | null };

/** There is none: everything goes by the stream. */
const NO_FD = -1;

/**
 * Writes to one TCP socket by its file descriptor: the same system call, without what the stream and the handle do around
 * it for each write (docs/decisions/0012). What the operating system does not take at once goes to the stream, and while that
 * holds anything, so does everything: the bytes leave in the order in which they were given, whoever gave them.
 */
export class FdWriter implements Line {
  readonly socket: Handled;
  /** Kept by whoever knows what else is written to this connection. */
  isClear = false;
  readonly #handle: object | null | undefined;
  readonly #fd: number;

  constructor(socket: TcpSocket) {
    this.socket = socket;
    this.#handle = this.socket._handle;
    this.#fd = fdOf(socket, this.#handle);
  }

  /** Bytes that the operating system has not taken. */
  get owed(): number {
    return this.socket.writableLength;
  }

  /** False where the operating system did not take all that this socket was given: the rest waits in the stream. */
  write(bytes: Buffer): boolean {
    const { socket } = this;
    // The system gives the descriptor to another connection once this handle is closed: the socket lets go of it then.
    const isOurs = this.#fd !== NO_FD && socket._handle === this.#handle;
    const isIdle = socket.writableLength === 0 && socket.writableCorked === 0 && !socket.writableEnded;
    const taken = isOurs && isIdle ? writeNow(this.#fd, bytes) : 0;
    if (taken === bytes.length) return true;
    socket.write(taken === 0 ? bytes : bytes.subarray(taken));
    return socket.writableLength === 0;
  }
}

/** How many bytes the operating system took. */
function writeNow(fd: number, bytes: Buffer): number {
  try {
    return writeSync(fd, bytes);
  } catch {
    // Its buffer is full (EAGAIN), or the connection is broken: then the stream meets an error too, and tells its listeners.
    return 0;
  }
}

function fdOf(socket: TcpSocket, handle: object | null | undefined): number {
  // Only a plain socket: what is written to the descriptor under TLS would leave unencrypted.
  if (Object.getPrototypeOf(socket) !== TcpSocket.prototype) return NO_FD;
  if (typeof handle !== "object" || handle === null || !("fd" in handle)) return NO_FD;
  return typeof handle.fd === "number" && handle.fd > LAST_STANDARD_FD ? handle.fd : NO_FD;
}
