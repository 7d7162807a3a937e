import type { Decision } from "../auth/application.ts";
import { may, permits } from "../auth/permissions.ts";
import type { RoomPolicy } from "../auth/room-types.ts";
import { RoomcastError } from "../errors.ts";
import { missedSince } from "../feed/catch-up.ts";
import type { Feed } from "../feed/feed.ts";
import type { Entry, Page, Position } from "../log/room-log.ts";
import type { Joined as PresenceJoined } from "../presence/presence.ts";
import type { Replies, Request } from "../protocol.ts";
import type { Call } from "./call.ts";
import type { Connection, Membership, RoomGrant } from "./connection.ts";
import {
  askToStay,
  authorize,
  mayAsk,
  messagesOf,
  type RecoveryOutcome,
  type RoomContext,
  requireDecided,
  takeRate,
} from "./context.ts";
import { keepGrant } from "./grant.ts";
import { encodeJson } from "./json.ts";
import { beginLeaving } from "./leave.ts";

/** A feed that keeps for this join what it hears since `mark`. */
interface HeldFeed {
  readonly feed: Feed;
  readonly mark: number;
}

/** The `joining` membership of one attempt. */
type Joining = Extract<Membership, { kind: "joining" }>;

/**
 * `joinRoom`: subscribe, take the seat (one script: presence, epoch and head in the same moment), read what was missed,
 * answer, and only then let the reader go. Whatever fails on the way leaves the connection out of the room.
 */
export async function joinRoom(
  context: RoomContext,
  connection: Connection,
  request: Request<"joinRoom">,
  call: Call<Replies["joinRoom"]>,
): Promise<void> {
  const { room } = request;
  const { policy, state, undecided } = admit(context, connection, request);
  const joining = begin(context, connection, room, call);
  let held: HeldFeed | undefined;
  try {
    const decision = undecided ? await call.within(askToStay(context, connection, room)) : undefined;
    const mayRead = requireRights(context, connection, request, decision);
    if (context.hooks.beforeJoin !== undefined) {
      await call.within(context.hooks.beforeJoin({ user: connection.from, connection: connection.id, room }));
    }
    held = await hold(context, room, call);
    call.requireOpen();
    joining.mayBeSeated = true;
    const joined = await call.within(takeSeat(context, connection, room, joining, policy, state));
    held.feed.start(joined.position, joined.version);
    const missed =
      request.since !== undefined && mayRead
        ? await call.within(readMissed(context, room, request.since, joined.position, policy))
        : undefined;
    if (request.since !== undefined) context.counts.recovery(outcomeOf(missed !== undefined, mayRead));
    const found = missed?.entries ?? (await call.within(readHistory(context, request, joined.position, policy)));
    if (found.length > 0) await call.within(context.turns.take(bytesOf(found)));
    // Who is back in many rooms and owes too much by now gets what it missed as messages, as fast as it reads.
    const isLater = missed !== undefined && found.length > 0 && !connection.port.keepsUp();
    const entries = isLater ? [] : found;
    const position = isLater ? missed.from : (missed?.position ?? joined.position);
    // The token may be another one by now, and the room types too: who goes by the application's decision goes by that.
    if (decision === undefined) {
      authorize(context, connection, room, "join");
      if (missed !== undefined || found.length > 0) authorize(context, connection, room, "history");
    }
    call.answer(replyOf(room, position, missed !== undefined, entries, joined));
    const grant = decision === undefined ? undefined : { ...decision };
    settle(context, connection, room, joining, held, grant, position, joined.version);
    if (grant !== undefined) keepGrant(context, connection, room, grant);
  } catch (error) {
    if (held !== undefined) context.feeds.release(room, held.feed);
    abandon(context, connection, room, joining);
    throw error;
  } finally {
    held?.feed.expectNoMore();
  }
}

/** What the join brings along, and whether the application decides it. Whom it refuses is out of the room. */
function admit(
  context: RoomContext,
  connection: Connection,
  request: Request<"joinRoom">,
): { policy: RoomPolicy; state: string | undefined; undecided: boolean } {
  const { room, state } = request;
  try {
    const undecided = mayAsk(context, connection, room, "join");
    const policy = undecided ? context.types.of(room) : authorize(context, connection, room, "join");
    takeRate(connection, "join");
    if (!undecided) requireRights(context, connection, request, undefined);
    return {
      policy,
      undecided,
      state: state === undefined ? undefined : encodeJson("state", state, context.limits.stateBytes),
    };
  } catch (error) {
    leaveBehind(context, connection, room);
    throw error;
  }
}

/** Whether the join may read the log. Throws `forbidden` where it asks for more than it may. */
function requireRights(
  context: RoomContext,
  connection: Connection,
  { room, history = 0 }: Request<"joinRoom">,
  decision: Decision | undefined,
): boolean {
  const { permissions } = connection.identity;
  if (decision !== undefined) requireDecided(decision, room, "join");
  const mayRead = may(permissions, context.types.of(room), room, "history") || permits(decision?.bits ?? 0, "history");
  if (history === 0 || mayRead) return mayRead;
  if (decision !== undefined) requireDecided(decision, room, "history");
  authorize(context, connection, room, "history");
  return true;
}

/** A join was refused before it began: whatever the connection had in the room, it is out. */
export function leaveBehind(context: RoomContext, connection: Connection, room: string): void {
  const membership = connection.memberships.get(room);
  if (membership === undefined || membership.kind === "leaving") return;
  // What the room still owes Redis goes on by itself.
  beginLeaving(context, connection, room, membership).catch(() => undefined);
}

/** Takes the place of whatever this connection had in the room: an older join is answered `superseded`. */
function begin(context: RoomContext, connection: Connection, room: string, call: Call<Replies["joinRoom"]>): Joining {
  const { memberships, port } = connection;
  const now = memberships.get(room);
  if (now === undefined && memberships.size >= context.limits.roomsPerConnection) {
    throw new RoomcastError("too_many_rooms");
  }
  if (now?.kind === "joining") now.call.end(new RoomcastError("superseded"));
  const before = now?.kind === "joining" ? now.before : now?.kind === "joined" ? now : undefined;
  before?.feed.endStream(port);
  const mayBeSeated = now?.kind === "joining" && now.mayBeSeated;
  const joining: Joining = { kind: "joining", attempt: connection.nextAttempt(), call, before, mayBeSeated };
  memberships.set(room, joining);
  return joining;
}

/** From here on the feed keeps what it hears for this join. One that opens after the call ended is given back. */
async function hold(context: RoomContext, room: string, call: Call<Replies["joinRoom"]>): Promise<HeldFeed> {
  const holding = context.feeds.hold(room);
  try {
    const feed = await call.within(holding);
    return { feed, mark: feed.expectJoin() };
  } catch (error) {
    holding.then(
      (feed) => context.feeds.release(room, feed),
      () => undefined,
    );
    throw error;
  }
}

function takeSeat(
  context: RoomContext,
  connection: Connection,
  room: string,
  joining: Joining,
  policy: RoomPolicy,
  state: string | undefined,
): Promise<PresenceJoined> {
  return context.seats.join({
    ...connection.seat(room, joining.attempt),
    name: connection.identity.name,
    state,
    maxMembers: policy.maxMembers,
    retention: policy.retention,
  });
}

/**
 * The first of what came after `since`, the place of `since` itself and that of the last of them; or undefined where the stream cannot be continued from there: another epoch, a
 * fork, or gone from the log.
 */
async function readMissed(
  context: RoomContext,
  room: string,
  since: NonNullable<Request<"joinRoom">["since"]>,
  head: Position,
  policy: RoomPolicy,
): Promise<{ entries: readonly Entry[]; from: Position; position: Position } | undefined> {
  if (since.epoch !== head.epoch || since.seq > head.seq) return undefined;
  if (since.seq === head.seq) {
    return since.ts === undefined || since.ts === head.ts ? { entries: [], from: head, position: head } : undefined;
  }
  const page = await readAt(head, () => context.feeds.readAfter(room, since.seq, policy.retention));
  const on = missedSince(since, head, page);
  const first = on?.entries[0];
  if (on === undefined || first === undefined) return undefined;
  const from = { epoch: head.epoch, seq: since.seq, ts: first.prev };
  return { entries: on.entries, from, position: on.at };
}

/** A page that was read at the join's fence or later. A shared one may have begun before that, the next one has not. */
async function readAt({ epoch, seq }: Position, read: () => Promise<Page>): Promise<Page> {
  const page = await read();
  return page.head.epoch === epoch && page.head.seq >= seq ? page : await read();
}

/** The last messages up to the join's fence, as many as were asked for. */
async function readHistory(
  context: RoomContext,
  request: Request<"joinRoom">,
  head: Position,
  policy: RoomPolicy,
): Promise<readonly Entry[]> {
  const maxMessages = request.history ?? 0;
  if (maxMessages === 0 || head.seq === 0) return [];
  const page = await readAt(head, () =>
    context.feeds.readBefore(request.room, head.seq + 1, maxMessages, policy.retention),
  );
  return page.head.epoch === head.epoch ? page.entries : [];
}

function outcomeOf(recovered: boolean, mayRead: boolean): RecoveryOutcome {
  if (recovered) return "recovered";
  return mayRead ? "reload" : "forbidden";
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((bytes, { body }) => bytes + body.length, 0);
}

function replyOf(
  room: string,
  { epoch, seq, ts }: Position,
  recovered: boolean,
  entries: readonly Entry[],
  joined: PresenceJoined,
): Replies["joinRoom"] {
  const reply: Replies["joinRoom"] = {
    room,
    position: { epoch, seq, ts },
    recovered,
    messages: messagesOf(entries),
    members: [...joined.members],
    memberCount: joined.memberCount,
    version: joined.version,
  };
  if (joined.cursor !== undefined) reply.cursor = joined.cursor;
  return reply;
}

/** In the turn of the ack, right behind it: from now on messages are written to the connection. */
function settle(
  context: RoomContext,
  connection: Connection,
  room: string,
  { attempt, before }: Joining,
  { feed, mark }: HeldFeed,
  grant: RoomGrant | undefined,
  position: Position,
  version: number,
): void {
  connection.memberships.set(room, { kind: "joined", attempt, feed, grant });
  if (before !== undefined) {
    before.feed.detach(connection.port);
    context.feeds.release(room, before.feed);
  }
  connection.port.enter(room);
  feed.attach(connection.port, position, version, mark);
}

/** Leaves the connection out, unless a newer request has the room already: then the outcome is that one's. */
function abandon(context: RoomContext, connection: Connection, room: string, joining: Joining): void {
  if (connection.memberships.get(room) !== joining) return;
  connection.memberships.delete(room);
  const { before, attempt, mayBeSeated } = joining;
  if (before !== undefined) {
    before.feed.detach(connection.port);
    context.feeds.release(room, before.feed);
    connection.port.exit(room);
  }
  if (mayBeSeated || before !== undefined) context.seats.leaveQuietly(connection.seat(room, attempt));
}
