import type { Redis } from "ioredis";
import { bannedUntil, RoomcastError } from "../errors.ts";
import { Epochs } from "../log/epochs.ts";
import { type EventOutbox, NO_OUTBOX } from "../log/event-outbox.ts";
import { SPARE_LIFE_MS } from "../log/limits.ts";
import { BOUNDS } from "../protocol.ts";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { readList, readText, readWords } from "../redis/reply.ts";
import { readScript, type Script, type ScriptArgument, ScriptRunner } from "../redis/script.ts";
import { identityJson } from "./member-json.ts";
import { pageCursor, pageLimit, SHOWN_MEMBERS } from "./member-page.ts";
import type { GraceOf, Joined, JoinRequest, Member, MemberPage, Presence, Seat } from "./presence.ts";
import type { RoomIndex } from "./seats.ts";

const JOIN = readScript(new URL("./scripts/join.lua", import.meta.url));
const LEAVE = readScript(new URL("./scripts/leave.lua", import.meta.url));
const SET_STATE = readScript(new URL("./scripts/set_state.lua", import.meta.url));
const SWEEP = readScript(new URL("./scripts/sweep.lua", import.meta.url));
const LIST = readScript(new URL("./scripts/list.lua", import.meta.url));

/** How long a join that was given up is kept out: longer than a broken connection can hold it back. */
const GIVEN_UP_MS = 600_000;
/** Rooms of a node that is gone that are swept at a time: one by one, a far Redis would take longer than G4 allows. */
const SWEEP_ROOMS = 20;
/** Where more rooms than that could not be swept, the store refuses everything: the rest has its turn the next time. */
const MOST_FAILED_ROOMS = 100;
/** Entries that one step of a sweep looks at. */
const SWEEP_SLICE = 200;
/** Rooms that are looked through for one user at a time: where the user is not in, that is one look. */
const LOOKED_THROUGH_ROOMS = 200;

export interface RedisPresenceOptions {
  /** Joins, leaves and states, in the order of the calls. */
  readonly commands: Redis;
  /** Lists of members. */
  readonly reads: Redis;
  readonly keys: Keys;
  /** This life of this node; it may change. */
  readonly incarnation: { readonly current: string };
  /** As for the log, whose rooms these are, in milliseconds. */
  readonly dedupeMs: number;
  /** Where comings and goings are left for webhooks. */
  readonly outbox?: EventOutbox;
}

/** Who hears of a sweep. */
export interface SweepListener {
  /** In none of these rooms is a member of the node any more. */
  swept(rooms: readonly string[]): Promise<void>;
  /** This room could not be swept. */
  failed(room: string, error: unknown): void;
}

/** Presence in Redis: a hash and a sorted set a room, each step one script. */
export class RedisPresence implements Presence, RoomIndex {
  readonly #redis: Redis;
  readonly #commands: ScriptRunner;
  readonly #reads: ScriptRunner;
  readonly #keys: Keys;
  readonly #incarnation: { readonly current: string };
  readonly #dedupeMs: number;
  readonly #outbox: EventOutbox;
  readonly #epochs = new Epochs();
  #swept = 0;

  constructor({ commands, reads, keys, incarnation, dedupeMs, outbox = NO_OUTBOX }: RedisPresenceOptions) {
    this.#redis = commands;
    this.#commands = new ScriptRunner(commands, [JOIN, LEAVE, SET_STATE, SWEEP]);
    this.#reads = new ScriptRunner(reads, [LIST]);
    this.#keys = keys;
    this.#incarnation = incarnation;
    this.#dedupeMs = dedupeMs;
    this.#outbox = outbox;
  }

  /** Connections of nodes that were gone, taken out of rooms by this node. */
  get swept(): number {
    return this.#swept;
  }

  async join(request: JoinRequest): Promise<Joined> {
    const { room, connection, attempt, user, name, state, maxMembers, retention } = request;
    const keys = [
      this.#keys.meta(room),
      this.#keys.log(room),
      this.#keys.presence(room),
      this.#keys.members(room),
      this.#keys.bans(room),
      this.#keys.left(room, connection),
      this.#keys.removed(room),
    ];
    const reply = await this.#change(JOIN, room, keys, [
      this.#keys.channel(room),
      JSON.stringify(room),
      connection,
      this.#incarnation.current,
      attempt,
      user,
      identityJson(user, name),
      state ?? "",
      maxMembers,
      // Nobody reads the list of a join that puts back.
      request.tells === undefined ? SHOWN_MEMBERS : 0,
      this.#epochs.next(),
      retention.maxAgeMs,
      this.#dedupeMs,
      SPARE_LIFE_MS,
      request.tells ?? "others",
      request.keepsKnown ? "1" : "",
      BOUNDS.pageMembersBytes,
    ]);
    return readJoined(readList(reply));
  }

  async leave({ room, connection, attempt }: Seat): Promise<void> {
    const keys = [...this.#roomKeys(room), this.#keys.left(room, connection)];
    const values = [this.#keys.channel(room), JSON.stringify(room), connection, attempt, GIVEN_UP_MS];
    await this.#change(LEAVE, room, keys, values);
  }

  async setState({ room, connection }: Seat, state: string): Promise<void> {
    const values = [this.#keys.channel(room), JSON.stringify(room), connection, state];
    const isIn = await this.#commands.run(SET_STATE, this.#roomKeys(room), values);
    if (isIn !== 1) throw new RoomcastError("not_in_room");
  }

  async members(room: string, cursor: string | undefined, limit: number): Promise<MemberPage> {
    const values = [pageCursor(cursor), pageLimit(limit), BOUNDS.pageMembersBytes];
    const [end, next, ...members] = readList(await this.#reads.read(LIST, this.#roomKeys(room), values));
    const { version, count } = readWords(end, ["version", "count"]);
    return {
      members: members.map(readMember),
      memberCount: Number(count),
      version: Number(version),
      cursor: readText(next) || undefined,
    };
  }

  /** Writes down, before the first member of this node comes, that it may have members in a room. */
  async noteRoom(room: string): Promise<void> {
    await this.#redis.sadd(this.#keys.nodeRooms(this.#incarnation.current), room).catch(rethrow);
  }

  /** Takes it back after the last member of this node has gone. */
  async forgetRoom(room: string): Promise<void> {
    await this.#redis.srem(this.#keys.nodeRooms(this.#incarnation.current), room).catch(rethrow);
  }

  /**
   * Takes all members of a node that is gone out of its rooms, in slices, of which `on` is told. Rejects with `unavailable`, and after
   * all others where a room could not be swept; may be repeated.
   */
  async sweepNode(incarnation: string, on: SweepListener): Promise<void> {
    const index = this.#keys.nodeRooms(incarnation);
    const failures = new Map<string, unknown>();
    for (;;) {
      const some = await this.#redis.srandmember(index, SWEEP_ROOMS + failures.size).catch(rethrow);
      const rooms = some.filter((room) => !failures.has(room));
      if (rooms.length === 0 || failures.size > MOST_FAILED_ROOMS) break;
      await Promise.all(rooms.map((room) => this.#sweepUnlessBroken(room, incarnation, failures)));
      const swept = rooms.filter((room) => !failures.has(room));
      await on.swept(swept);
      if (swept.length > 0) await this.#redis.srem(index, ...swept).catch(rethrow);
    }
    for (const [room, error] of failures) on.failed(room, error);
    if (failures.size > 0) throw new Error("not all rooms could be swept", { cause: [...failures.values()][0] });
  }

  /** One room whose keys are not what they should be must not keep all others from being swept. */
  async #sweepUnlessBroken(room: string, incarnation: string, failures: Map<string, unknown>): Promise<void> {
    try {
      await this.#sweepRoom(room, incarnation, "");
    } catch (error) {
      if (error instanceof RoomcastError) throw error;
      failures.set(room, error);
    }
  }

  /** Of the members that a node left to be back elsewhere, takes these out before that time is over. May be repeated. */
  async endGrace(incarnation: string, { room, user = "" }: GraceOf): Promise<void> {
    if (room !== undefined) {
      await this.#sweepRoom(room, incarnation, user);
      return;
    }
    const index = this.#keys.nodeRooms(incarnation);
    let cursor = "0";
    do {
      const [next, rooms] = await this.#redis.sscan(index, cursor, "COUNT", LOOKED_THROUGH_ROOMS).catch(rethrow);
      await Promise.all(rooms.map((one) => this.#sweepRoom(one, incarnation, user)));
      cursor = next;
    } while (cursor !== "0");
  }

  async #sweepRoom(room: string, incarnation: string, user: string): Promise<void> {
    let cursor: string | undefined = "0";
    while (cursor !== undefined) cursor = await this.sweep(room, incarnation, cursor, user);
  }

  /**
   * Takes a slice of the connections of a node that is gone out of a room, `userLeft` once for each user whose last one
   * it was. May be repeated, and done by several nodes at a time. Goes on from the cursor of the last answer;
   * undefined is the end. With a user, only of that one.
   */
  async sweep(room: string, incarnation: string, cursor = "0", user = ""): Promise<string | undefined> {
    const values = [this.#keys.channel(room), JSON.stringify(room), incarnation, cursor, SWEEP_SLICE, user];
    const answer = await this.#change(SWEEP, room, this.#roomKeys(room), values);
    const { next, taken } = readWords(answer, ["next", "taken"]);
    this.#swept += Number(taken);
    return next === "0" ? undefined : next;
  }

  /** A step by which somebody may come or go. */
  async #change(
    script: Script,
    room: string,
    keys: readonly string[],
    values: readonly ScriptArgument[],
  ): Promise<unknown> {
    const outbox = this.#outbox.open(room, "presence");
    try {
      return await this.#commands.run(script, [...keys, ...outbox], values);
    } finally {
      this.#outbox.written(room, outbox);
    }
  }

  #roomKeys(room: string): string[] {
    return [this.#keys.meta(room), this.#keys.presence(room), this.#keys.members(room)];
  }
}

function rethrow(error: unknown): never {
  throw storeFailure(error);
}

function readMember(json: unknown): Member {
  return JSON.parse(readText(json)) as Member;
}

function readJoined([outcome, end, next, ...members]: readonly unknown[]): Joined {
  switch (readText(outcome)) {
    case "superseded":
      throw new RoomcastError("superseded");
    case "banned":
      throw bannedUntil(Number(readText(end)));
    case "room_full":
      throw new RoomcastError("room_full");
  }
  const { epoch, seq, ts, version, count } = readWords(end, ["epoch", "seq", "ts", "version", "count"]);
  return {
    position: { epoch, seq: Number(seq), ts: Number(ts) },
    version: Number(version),
    memberCount: Number(count),
    members: members.map(readMember),
    cursor: readText(next) || undefined,
  };
}
