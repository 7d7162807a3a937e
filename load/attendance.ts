import { setTimeout as delay } from "node:timers/promises";
import type { Socket } from "socket.io-client";
import type { Replies, ServerEvents, WireMember } from "../src/protocol.ts";
import { PresenceView } from "./presence-view.ts";
import { LOOK_AGAIN_MS, RETRY_MS } from "./requests.ts";

/** How long news of presence may take to arrive before a view is wrong. */
const SETTLE_MS = 5_000;
/** What is not answered for so long met an outage, in milliseconds. */
const OUTAGE_MS = 500;
/** However many outages there are, in milliseconds. */
const LONGEST_MS = 120_000;

interface Circumstances {
  readonly user: string;
  readonly room: string;
  /** Whether the member is in the room, or on its way in. */
  isWanted(): boolean;
  /** `getMembers`, once the room is joined; undefined where it is never answered. */
  members(): Promise<Replies["getMembers"] | undefined>;
  /** Somebody came, as news of presence tell. */
  came(user: string): void;
  /** What is taken for the room's members is wrong: in words, for whoever looks into it. */
  wrong(what: string): void;
}

function ids(members: readonly WireMember[]): string[] {
  return members.map(({ id }) => id);
}

/**
 * A time within which something is to come right. After an outage it begins anew: nobody is taken out of a room before
 * Redis has been there for a whole lease.
 */
class Settling {
  readonly #ms: number;
  readonly #latest = performance.now() + LONGEST_MS;
  #until: number;

  constructor(ms: number) {
    this.#ms = ms;
    this.#until = performance.now() + ms;
  }

  get isOver(): boolean {
    return performance.now() > this.#until;
  }

  async whileAsking<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const since = performance.now();
    try {
      return await ask();
    } finally {
      const now = performance.now();
      if (now - since > OUTAGE_MS) this.#until = Math.min(now + this.#ms, this.#latest);
    }
  }
}

/** Follows who is in a room by its events, and compares that with the room's members. */
export class Attendance {
  readonly #now: Circumstances;
  readonly #view = new PresenceView(() => void this.#readAgain());
  /** Lists of members read again because news of presence had been missed, and the member could tell. */
  readAgain = 0;
  wrong = 0;

  constructor(socket: Socket, now: Circumstances) {
    this.#now = now;
    const hear = <Name extends "userJoined" | "userLeft" | "userUpdated" | "presence">(
      name: Name,
      handle: (event: ServerEvents[Name]) => void,
    ) => {
      const listener = (event: ServerEvents[Name]) => {
        if (event.room === now.room && now.isWanted()) handle(event);
      };
      // The client's types take no name that is a parameter itself.
      socket.on<string>(name, listener);
    };
    hear("userJoined", (event) => {
      this.#view.heard("userJoined", event);
      now.came(event.user.id);
    });
    hear("userLeft", (event) => this.#view.heard("userLeft", event));
    hear("userUpdated", (event) => this.#view.heardUpdate(event));
    hear("presence", (event) => this.#view.heardSummary(event));
  }

  /** A join is asked for: what comes from now on may be newer than its answer. */
  expectJoin(): void {
    this.#view.hold();
  }

  /** The answer of a join. Rooms that have more members than fit into one are not followed. */
  start({ members, cursor, version }: Pick<Replies["joinRoom"], "members" | "cursor" | "version">): void {
    if (cursor === undefined) this.#view.start(ids(members), version);
    else this.#view.stop();
  }

  stop(): void {
    this.#view.stop();
  }

  /** Compares at one version of the room, however fast people come and go. */
  async compare(): Promise<void> {
    const settle = new Settling(SETTLE_MS);
    for (;;) {
      this.#view.hold();
      const answer = await settle.whileAsking(() => this.#now.members());
      if (answer === undefined) throw new Error("getMembers was not answered: nothing to compare with");
      if (answer.cursor !== undefined) return this.#view.release();
      const verdict = () => this.#view.beside(ids(answer.members), answer.version);
      let found = verdict();
      for (; found === "not yet" && !settle.isOver; found = verdict()) await delay(LOOK_AGAIN_MS);
      this.#view.release();
      // Unknown: there were more than one answer holds when this member joined.
      if (found === "equal" || found === "unknown") return;
      // It was told that it missed something, and reads all again: by this answer, whatever becomes of the other one.
      if (found === "behind") this.start(answer);
      // A join or another reading came in between: once more.
      if ((found === "newer" || found === "behind") && !settle.isOver) continue;
      if (found === "behind") return;
      return this.#tellWrong(this.#view.describeBeside(ids(answer.members), answer.version));
    }
  }

  /** After leaving: this user must be gone within so many milliseconds more than news of presence may take. */
  async seeOneselfGone(graceMs: number): Promise<void> {
    const settle = new Settling(SETTLE_MS + graceMs);
    for (;;) {
      const answer = await settle.whileAsking(() => this.#now.members());
      if (answer !== undefined && !ids(answer.members).includes(this.#now.user)) return;
      if (settle.isOver) {
        const late =
          answer === undefined ? "getMembers was not answered" : `still a member at version ${answer.version}`;
        return this.#tellWrong(`${SETTLE_MS + graceMs} ms after leaving, ${late}`);
      }
      await delay(RETRY_MS);
    }
  }

  #tellWrong(what: string): void {
    this.wrong += 1;
    this.#now.wrong(what);
  }

  async #readAgain(): Promise<void> {
    this.readAgain += 1;
    this.#view.hold();
    const answer = await this.#now.members();
    if (answer !== undefined && this.#view.isBehind) this.start(answer);
    else this.#view.release();
  }
}
