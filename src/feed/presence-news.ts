import type { Member, PresenceChange } from "../presence/presence.ts";
import type { ServerEvents } from "../protocol.ts";
import { Frame } from "./frame.ts";
import type { Reader } from "./reader.ts";

/** The least time between two `presence` events of one room, in milliseconds. */
const DIGEST_MS = 1_000;
/** Most names in each list of a `presence` event. */
const DIGEST_NAMES = 50;

export interface PresenceNewsLimits {
  /** Up to this many members each coming and going is an event of its own. */
  readonly upToMembers: number;
  /** A room that grew past that gets single events again when it has fewer than this. */
  readonly againBelowMembers: number;
}

/** Whom a piece of news reaches: members whose join knows less than `version`, but for the connection `by`. */
export interface Audience {
  readonly version: number;
  readonly by: string | undefined;
}

/** Turns a room's presence changes into events: one each in small rooms, a summary once a second in large ones. */
export class PresenceNews {
  readonly #room: string;
  readonly #limits: PresenceNewsLimits;
  readonly #tell: (frame: Frame, audience: Audience) => void;
  readonly #joined = new Map<string, Member>();
  readonly #left = new Map<string, Member>();
  /** The last update of each user since the last digest: told behind the next one, or versions would run ahead of it. */
  readonly #updates = new Map<string, PresenceChange>();
  #crowded = false;
  #partial = false;
  #version = 0;
  #memberCount = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(room: string, limits: PresenceNewsLimits, tell: (frame: Frame, audience: Audience) => void) {
    this.#room = room;
    this.#limits = limits;
    this.#tell = tell;
  }

  hear(change: PresenceChange): void {
    this.#version = change.version;
    this.#memberCount = change.memberCount;
    if (change.memberCount > this.#limits.upToMembers) this.#crowded = true;
    if (this.#crowded && change.kind !== "userUpdated") this.#collect(change);
    else if (this.#timer !== undefined) this.#hold(change);
    else this.#tell(this.#single(change), audienceOf(change));
    if (this.#crowded && change.memberCount < this.#limits.againBelowMembers) {
      this.#crowded = false;
      this.#digest();
    }
  }

  /** Gives one reader a change that was heard while its join was under way. */
  replay(change: PresenceChange, reader: Reader): void {
    if (change.version > reader.version && audienceOf(change).by !== reader.outlet.connection) {
      reader.outlet.write(this.#single(change));
    }
  }

  /** Changes were not heard: whoever counts versions is told where they stand now. */
  missed(version: number, memberCount: number): void {
    this.#partial = true;
    this.#version = version;
    this.#memberCount = memberCount;
    this.#digest();
  }

  /** For one member who missed changes: how many members there are, and that `getMembers` has them. */
  standing(): Frame {
    const event: ServerEvents["presence"] = {
      room: this.#room,
      joined: [],
      left: [],
      memberCount: this.#memberCount,
      version: this.#version,
      partial: true,
    };
    return Frame.ofEvent("presence", JSON.stringify(event));
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #single(change: PresenceChange): Frame {
    const { kind, user, memberCount, version } = change;
    const event: ServerEvents["userUpdated"] | ServerEvents["userJoined"] =
      kind === "userUpdated" ? { room: this.#room, user, version } : { room: this.#room, user, memberCount, version };
    return Frame.ofEvent(kind, JSON.stringify(event));
  }

  /** Only the last word on a user counts: who came and went within the second is in neither list. */
  #collect({ kind, user }: PresenceChange): void {
    const [into, outOf] = kind === "userJoined" ? [this.#joined, this.#left] : [this.#left, this.#joined];
    if (!outOf.delete(user.id)) {
      if (into.size < DIGEST_NAMES) into.set(user.id, user);
      else this.#partial = true;
    }
    if (kind === "userLeft") this.#updates.delete(user.id);
    this.#timer ??= setTimeout(() => this.#digest(), DIGEST_MS);
  }

  #hold(change: PresenceChange): void {
    this.#updates.delete(change.user.id);
    this.#updates.set(change.user.id, change);
  }

  #digest(): void {
    this.close();
    const event: ServerEvents["presence"] = {
      room: this.#room,
      joined: [...this.#joined.values()],
      left: [...this.#left.values()],
      memberCount: this.#memberCount,
      version: this.#version,
    };
    if (this.#partial) event.partial = true;
    this.#joined.clear();
    this.#left.clear();
    this.#partial = false;
    this.#tell(Frame.ofEvent("presence", JSON.stringify(event)), { version: this.#version, by: undefined });
    for (const update of this.#updates.values()) this.#tell(this.#single(update), audienceOf(update));
    this.#updates.clear();
  }
}

/** A connection does not hear of its own joining: its ack says it. An update it does hear, for that ack has no version. */
function audienceOf({ kind, version, by }: PresenceChange): Audience {
  return { version, by: kind === "userJoined" ? by : undefined };
}
