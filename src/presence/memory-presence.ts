import { bannedUntil, RoomcastError } from "../errors.ts";
import type { MemoryChannels } from "../log/memory-channels.ts";
import type { MemoryLog } from "../log/memory-log.ts";
import type { MemoryRoom } from "../log/memory-room.ts";
import { BOUNDS } from "../protocol.ts";
import { identityJson } from "./member-json.ts";
import { pageCursor, pageLimit, SHOWN_MEMBERS } from "./member-page.ts";
import type { Joined, JoinRequest, Member, MemberPage, Presence, PresenceChange, Seat } from "./presence.ts";
import type { RoomIndex } from "./seats.ts";

interface User {
  /** JSON texts, as scripts compare them. */
  identity: string;
  state: string | undefined;
  connections: number;
  /** The version with which they came. */
  readonly since: number;
}

interface Seated {
  attempt: number;
  readonly user: string;
}

interface Occupied {
  readonly seats: Map<string, Seated>;
  /** In the order of their coming. */
  readonly users: Map<string, User>;
}

/** Who is banned from a room now, and until when (Unix milliseconds). */
export interface BanLookup {
  endOf(room: string, user: string): number | undefined;
}

/** The presence of a node without Redis: the same rules, and gone with the process. */
export class MemoryPresence implements Presence, RoomIndex {
  readonly #log: MemoryLog;
  readonly #channels: MemoryChannels;
  readonly #bans: BanLookup;
  readonly #rooms = new Map<string, Occupied>();

  constructor(log: MemoryLog, channels: MemoryChannels, bans: BanLookup) {
    this.#log = log;
    this.#channels = channels;
    this.#bans = bans;
  }

  async join(request: JoinRequest): Promise<Joined> {
    const { room: name, connection, attempt, user, state, maxMembers } = request;
    const occupied = this.#rooms.get(name) ?? { seats: new Map<string, Seated>(), users: new Map<string, User>() };
    const seat = occupied.seats.get(connection);
    if (seat !== undefined && seat.attempt > attempt) throw new RoomcastError("superseded");
    const bannedUntilMs = this.#bans.endOf(name, user);
    if (bannedUntilMs !== undefined) throw bannedUntil(bannedUntilMs);
    let present = occupied.users.get(user);
    if (maxMembers > 0 && present === undefined && occupied.users.size >= maxMembers) {
      throw new RoomcastError("room_full");
    }

    this.#rooms.set(name, occupied);
    const room = this.#log.open(name, request.retention);
    const identity = identityJson(user, request.name);
    let kind: PresenceChange["kind"] | undefined;
    if (present === undefined) {
      kind = "userJoined";
      present = { identity, state, connections: 0, since: room.version + 1 };
      occupied.users.set(user, present);
    } else if (present.identity !== identity || (state !== undefined && present.state !== state)) {
      kind = "userUpdated";
      present.identity = identity;
      present.state = state ?? present.state;
    }
    if (seat === undefined) present.connections += 1;
    occupied.seats.set(connection, { attempt, user });
    if (kind !== undefined) this.#tell(name, room, occupied, kind, present, connection);
    const { members, cursor } = page(occupied, 0, SHOWN_MEMBERS);
    const { version, memberCount, position } = room;
    return { position, version, memberCount, members, cursor };
  }

  async leave({ room: name, connection, attempt }: Seat): Promise<void> {
    const occupied = this.#rooms.get(name);
    const seat = occupied?.seats.get(connection);
    if (occupied === undefined || seat === undefined || seat.attempt > attempt) return;
    occupied.seats.delete(connection);
    const user = occupied.users.get(seat.user);
    const room = this.#log.find(name);
    if (user === undefined || room === undefined) return;
    user.connections -= 1;
    if (user.connections > 0) return;
    occupied.users.delete(seat.user);
    if (occupied.users.size === 0) this.#rooms.delete(name);
    this.#tell(name, room, occupied, "userLeft", user, connection);
  }

  async setState({ room: name, connection }: Seat, state: string): Promise<void> {
    const occupied = this.#rooms.get(name);
    const seat = occupied?.seats.get(connection);
    const user = seat === undefined ? undefined : occupied?.users.get(seat.user);
    const room = this.#log.find(name);
    if (occupied === undefined || user === undefined || room === undefined) throw new RoomcastError("not_in_room");
    if (user.state === state) return;
    user.state = state;
    this.#tell(name, room, occupied, "userUpdated", user, connection);
  }

  async members(name: string, cursor: string | undefined, limit: number): Promise<MemberPage> {
    const occupied = this.#rooms.get(name);
    const after = pageCursor(cursor);
    const version = this.#log.find(name)?.version ?? 0;
    if (occupied === undefined) return { members: [], memberCount: 0, version, cursor: undefined };
    return { ...page(occupied, after, pageLimit(limit)), memberCount: occupied.users.size, version };
  }

  /** The rooms that somebody is in. */
  occupied(): Iterable<string> {
    return this.#rooms.keys();
  }

  connectionsIn(room: string): number {
    return this.#rooms.get(room)?.seats.size ?? 0;
  }

  /** Nobody else could look it up. */
  async noteRoom(): Promise<void> {
    return undefined;
  }

  async forgetRoom(): Promise<void> {
    return undefined;
  }

  #tell(
    name: string,
    room: MemoryRoom,
    occupied: Occupied,
    kind: PresenceChange["kind"],
    user: User,
    by: string,
  ): void {
    room.version += 1;
    room.memberCount = occupied.users.size;
    const { version, memberCount } = room;
    this.#channels.publishPresence(name, { kind, user: member(user), memberCount, version, by });
  }
}

function textOf({ identity, state }: User): string {
  return `{${identity}${state === undefined ? "" : `,"state":${state}`}}`;
}

function member(user: User): Member {
  return JSON.parse(textOf(user)) as Member;
}

function page(occupied: Occupied, after: number, limit: number): Pick<MemberPage, "members" | "cursor"> {
  const rest = [...occupied.users.values()].filter(({ since }) => since > after);
  const shown: User[] = [];
  let bytes = 0;
  for (const user of rest.slice(0, limit)) {
    bytes += Buffer.byteLength(textOf(user));
    if (shown.length > 0 && bytes > BOUNDS.pageMembersBytes) break;
    shown.push(user);
  }
  const last = shown.at(-1);
  return { members: shown.map(member), cursor: rest.length > shown.length && last ? String(last.since) : undefined };
}
