import * as z from "zod";
import { roomSchema, userSchema } from "../protocol.ts";

const untilSchema = z.int().min(0).optional();

const orderSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("remove"), room: roomSchema, user: userSchema, until: untilSchema }),
  z.object({ kind: z.literal("close"), room: roomSchema }),
  z.object({ kind: z.literal("disconnect"), user: userSchema, until: untilSchema }),
  z.object({ kind: z.literal("unblock"), user: userSchema }),
]);

/**
 * What every node carries out on its own connections.
 * - `remove`: a user leaves a room, and is banned from it where there is an `until` (Unix milliseconds);
 * - `close`: everybody leaves a room;
 * - `disconnect`: all connections of a user end, and none may come before `until`; `unblock` lifts that.
 */
export type Order = z.output<typeof orderSchema>;

/** Reads an order as the control log holds it; undefined for one of a kind that only newer nodes know. */
export function readOrder(data: unknown): Order | undefined {
  const read = orderSchema.safeParse(data);
  return read.success ? read.data : undefined;
}
