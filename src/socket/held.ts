import type { Socket } from "socket.io";
import type { RoomcastError } from "../errors.ts";
import type { Movable } from "../nodes/drain.ts";
import type { ServerEvents } from "../protocol.ts";
import type { Connection } from "../room/connection.ts";
import type { RoomContext } from "../room/context.ts";
import { leaveAll } from "../room/leave.ts";
import type { Subject } from "./obey.ts";
import type { Debtor } from "./outbound-budget.ts";
import type { SocketOutlet } from "./outlet.ts";

/** A connection of this node, and all that others do with it: hand it over, close it, carry orders out on it. */
export type Held = Movable & Debtor & Subject;

export function held(context: RoomContext, socket: Socket, connection: Connection, outlet: SocketOutlet): Held {
  return {
    connection,
    get pending() {
      return connection.pending;
    },
    get owed() {
      return outlet.owed;
    },
    close: () => outlet.close(),
    warn: (reconnectWithinMs) => socket.emit("draining", { reconnectWithinMs } satisfies ServerEvents["draining"]),
    move: () => socket.conn.close(),
    end: (error) => {
      leaveAll(context, connection, 0);
      endForGood(socket, error);
    },
  };
}

/** Stock clients stay away by themselves after this. */
export function endForGood(socket: Socket, error: RoomcastError): void {
  socket.emit("ending", { code: error.code, message: error.message } satisfies ServerEvents["ending"]);
  socket.disconnect(true);
}
