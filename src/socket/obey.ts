import { setImmediate as nextTurn } from "node:timers/promises";
import { bannedUntil, MissingRight, RoomcastError } from "../errors.ts";
import type { Bans, Ends } from "../moderation/bans.ts";
import type { Order } from "../moderation/order.ts";
import type { Connection } from "../room/connection.ts";
import type { RoomContext } from "../room/context.ts";
import { type Removal, remove } from "../room/removal.ts";

/** Connections that are put out in one turn of the event loop, and rooms that are looked up in one. */
const PER_TURN = 500;

/** A connection of this node, and the way to end it for good. */
export interface Subject {
  readonly connection: Connection;
  /** Tells `ending` and disconnects; the user is out of all rooms at once, without grace. */
  end(error: RoomcastError): void;
}

/** Carries an order out on the connections of this node, those in their grace too. */
export async function obey(order: Order, subjects: Iterable<Subject>, context: RoomContext): Promise<void> {
  if (order.kind === "remove") {
    const { room, user, until } = order;
    const removal: Removal = until === undefined ? { room, reason: "kicked" } : { room, reason: "banned", until };
    for (const { connection } of subjects) if (connection.identity.user === user) remove(context, connection, removal);
    context.seats.endGraces((seat) => seat.room === room && seat.user === user);
  } else if (order.kind === "close") {
    await closeRoom(order.room, subjects, context);
  } else if (order.kind === "disconnect") {
    const { user, until } = order;
    const error =
      until === undefined
        ? new RoomcastError("forbidden", "the application has ended this connection")
        : bannedUntil(until, "everywhere");
    await endAll(
      [...subjects].filter(({ connection }) => connection.identity.user === user),
      error,
    );
    context.seats.endGraces((seat) => seat.user === user);
  }
}

/**
 * Orders were missed for good: puts everybody out who is kept out by now. Rejects with `unavailable`, and where a right is missing. A
 * room that is broken is told by `failed`, and passed over: the others' orders must not wait for it.
 */
export async function review(
  bans: Bans,
  subjects: Iterable<Subject>,
  context: RoomContext,
  failed: (error: unknown) => void,
): Promise<void> {
  const rooms = new Map<string, Set<string>>();
  const all = [...subjects];
  for (const { connection } of all) {
    const until = context.blocks.endOf(connection.identity.user);
    if (until !== undefined) {
      await obey({ kind: "disconnect", user: connection.identity.user, until }, all, context);
      continue;
    }
    for (const room of connection.memberships.keys()) {
      const users = rooms.get(room) ?? new Set();
      rooms.set(room, users.add(connection.identity.user));
    }
  }
  const occupied = [...rooms];
  for (let start = 0; start < occupied.length; start += PER_TURN) {
    const slice = occupied.slice(start, start + PER_TURN);
    const banned = await Promise.all(slice.map(([room, users]) => bannedFrom(bans, room, [...users], failed)));
    for (const [index, [room]] of slice.entries()) {
      for (const [user, until] of banned[index] ?? []) await obey({ kind: "remove", room, user, until }, all, context);
    }
  }
}

async function bannedFrom(
  bans: Bans,
  room: string,
  users: readonly string[],
  failed: (error: unknown) => void,
): Promise<Ends> {
  try {
    return await bans.bannedFrom(room, users);
  } catch (error) {
    if (error instanceof RoomcastError || error instanceof MissingRight) throw error;
    failed(new Error(`who is banned from ${room} cannot be read`, { cause: error }));
    return new Map();
  }
}

async function closeRoom(room: string, subjects: Iterable<Subject>, context: RoomContext): Promise<void> {
  context.seats.endGraces((seat) => seat.room === room);
  const inside: { connection: Connection; attempt: number }[] = [];
  for (const { connection } of subjects) {
    const membership = connection.memberships.get(room);
    if (membership !== undefined) inside.push({ connection, attempt: membership.attempt });
  }
  for (const [index, { connection, attempt }] of inside.entries()) {
    if (index > 0 && index % PER_TURN === 0) await nextTurn();
    // Whoever has joined again meanwhile came after the order.
    if (connection.memberships.get(room)?.attempt === attempt) remove(context, connection, { room, reason: "closed" });
  }
}

async function endAll(subjects: readonly Subject[], error: RoomcastError): Promise<void> {
  for (const [index, subject] of subjects.entries()) {
    if (index > 0 && index % PER_TURN === 0) await nextTurn();
    subject.end(error);
  }
}
