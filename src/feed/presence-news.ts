import type { Member, PresenceChange } from "../presence/presence.ts";
import { BOUNDS, type ServerEvents } from "../protocol.ts";
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

/** Who hears the news. */
export interface NewsMembers {
  tell(frame: Frame, audience: Audience): void;
}

/** What is told together when its time has come. */
interface Digest {
  readonly joined: Map<string, Member>;
  readonly left: Map<string, Member>;
  /** The last update of each user meanwhile: told behind the digest, or versions would run ahead of it. */
  readonly updates: Map<string, PresenceChange>;
  /** Names are missing. */
  partial: boolean;
  readonly timer: NodeJS.Timeout;
}

/** Turns a room's presence changes into events: one each in small rooms, a summary once a second in large ones. */
export class PresenceNews {
  readonly #room: string;
  #limits: PresenceNewsLimits;
  readonly #members: NewsMembers;
  #crowded = false;
  #version = 0;
  #memberCount = 0;
  /** Most rooms are small and never have one. */
  #digest: Digest | undefined;

  constructor(room: string, limits: PresenceNewsLimits, members: NewsMembers) {
    this.#room = room;
    this.#limits = limits;
    this.#members = members;
  }

  /** From now on these hold. */
  adopt(limits: PresenceNewsLimits): void {
    this.#limits = limits;
  }

  /** `afterGap`: changes before this one were not heard. Single events show that by their versions, a summary has to say it. */
  hear(change: PresenceChange, afterGap: boolean): void {
    this.#version = change.version;
    this.#memberCount = change.memberCount;
    if (change.memberCount > this.#limits.upToMembers) this.#crowded = true;
    if (this.#crowded && change.kind !== "userUpdated") this.#collect(change);
    else if (this.#digest !== undefined) hold(this.#digest, change);
    else this.#members.tell(this.#single(change), audienceOf(change));
    if (afterGap && this.#digest !== undefined) this.#digest.partial = true;
    if (this.#crowded && change.memberCount < this.#limits.againBelowMembers) {
      this.#crowded = false;
      this.#tellDigest(false);
    }
  }

  /** Gives one reader a change that was heard while its join was under way. */
  replay(change: PresenceChange, reader: Reader): void {
    if (change.version > reader.version && audienceOf(change).by !== reader.outlet.connection) {
      reader.outlet.write(this.#single(change));
    }
  }

  /** Changes were not heard: whoever counts versions is told where they stand now; `all`: also who has that version. */
  missed(version: number, memberCount: number, all: boolean): void {
    this.#version = version;
    this.#memberCount = memberCount;
    this.#tellDigest(true, all);
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
    clearTimeout(this.#digest?.timer);
    this.#digest = undefined;
  }

  #single(change: PresenceChange): Frame {
    const { kind, user, memberCount, version } = change;
    const event: ServerEvents["userUpdated"] | ServerEvents["userJoined"] =
      kind === "userUpdated" ? { room: this.#room, user, version } : { room: this.#room, user, memberCount, version };
    return Frame.ofEvent(kind, JSON.stringify(event));
  }

  #collect(change: PresenceChange): void {
    this.#digest ??= {
      joined: new Map(),
      left: new Map(),
      updates: new Map(),
      partial: false,
      timer: setTimeout(() => this.#tellDigest(false), DIGEST_MS),
    };
    collect(this.#digest, change);
  }

  #tellDigest(partial: boolean, all = false): void {
    const digest = this.#digest;
    this.close();
    const event: ServerEvents["presence"] = {
      room: this.#room,
      joined: [...(digest?.joined.values() ?? [])],
      left: [...(digest?.left.values() ?? [])],
      memberCount: this.#memberCount,
      version: this.#version,
    };
    if (partial || digest?.partial === true) event.partial = true;
    let text = JSON.stringify(event);
    // Names come with states: so many of them in one frame could end the very connections that it is for.
    if (Buffer.byteLength(text) > BOUNDS.pageMembersBytes) {
      text = JSON.stringify({ ...event, joined: [], left: [], partial: true } satisfies ServerEvents["presence"]);
    }
    const audience: Audience = { version: all ? Number.POSITIVE_INFINITY : this.#version, by: undefined };
    this.#members.tell(Frame.ofEvent("presence", text), audience);
    for (const update of digest?.updates.values() ?? []) this.#members.tell(this.#single(update), audienceOf(update));
  }
}

/**
 * The last word on each user counts. It is told also where it takes back one of the same second: whoever was shown the room's
 * members in between knows only the first.
 */
function collect(digest: Digest, { kind, user }: PresenceChange): void {
  const [into, outOf] = kind === "userJoined" ? [digest.joined, digest.left] : [digest.left, digest.joined];
  outOf.delete(user.id);
  if (into.size < DIGEST_NAMES || into.has(user.id)) into.set(user.id, user);
  else digest.partial = true;
  if (kind === "userLeft") digest.updates.delete(user.id);
}

function hold({ updates }: Digest, change: PresenceChange): void {
  updates.delete(change.user.id);
  updates.set(change.user.id, change);
}

/** A connection does not hear of its own joining: its ack says it. An update it does hear, for that ack has no version. */
function audienceOf({ kind, version, by }: PresenceChange): Audience {
  return { version, by: kind === "userJoined" ? by : undefined };
}
