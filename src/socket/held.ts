import type { Socket } from "socket.io";
import { RoomcastError } from "../errors.ts";
import type { Movable } from "../nodes/drain.ts";
import type { ServerEvents } from "../protocol.ts";
import { Budget, type Rate } from "../room/budget.ts";
import type { Connection } from "../room/connection.ts";
import type { RoomContext } from "../room/context.ts";
import { leaveAll } from "../room/leave.ts";
import type { Expiring } from "./expiry.ts";
import type { Subject } from "./obey.ts";
import type { SocketOutlet } from "./outlet.ts";

/** A connection of this node, and all that others do with it: hand it over, close it, end it, carry orders out on it. */
export class Held implements Movable, Subject, Expiring {
  readonly connection: Connection;
  readonly outlet: SocketOutlet;
  warnedOf: number | undefined;
  readonly #context: RoomContext;
  readonly #socket: Socket;
  readonly #refusalRate: Rate | "off";
  #refusals: Budget | undefined;

  /** `refusals`: how many requests may be refused for their rate before the connection is ended. */
  constructor(
    context: RoomContext,
    socket: Socket,
    connection: Connection,
    outlet: SocketOutlet,
    refusals: Rate | "off",
  ) {
    this.#context = context;
    this.#socket = socket;
    this.connection = connection;
    this.outlet = outlet;
    this.#refusalRate = refusals;
  }

  get pending(): number {
    return this.connection.pending;
  }

  get expiresAt(): number {
    return this.connection.identity.expiresAt;
  }

  warn(reconnectWithinMs: number): void {
    this.#socket.emit("draining", { reconnectWithinMs } satisfies ServerEvents["draining"]);
  }

  move(): void {
    this.#socket.conn.close();
  }

  end(error: RoomcastError): void {
    leaveAll(this.#context, this.connection, 0);
    endForGood(this.#socket, error);
  }

  expiring(expiresAt: number): void {
    this.#socket.emit("tokenExpiring", { expiresAt } satisfies ServerEvents["tokenExpiring"]);
  }

  expired(): void {
    endForGood(this.#socket, new RoomcastError("token_expired"));
  }

  /** The name of the transport that it uses now. */
  get transport(): string {
    return this.#socket.conn.transport.name;
  }

  /** A request was refused for its rate; who goes on all the same is ended. True where that was now. */
  wasRefused(): boolean {
    this.#refusals ??= new Budget(this.#refusalRate);
    if (this.#refusals.take() === undefined) return false;
    endForGood(this.#socket, new RoomcastError("rate_limited", "this connection went on asking past its limits"));
    return true;
  }
}

/** Stock clients stay away by themselves after this. */
function endForGood(socket: Socket, error: RoomcastError): void {
  socket.emit("ending", { code: error.code, message: error.message } satisfies ServerEvents["ending"]);
  socket.disconnect(true);
}
