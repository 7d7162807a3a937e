import type { ServerEvents } from "../src/protocol.ts";

/** One event of a room's presence. */
interface Change {
  readonly version: number;
  readonly joined: readonly string[];
  readonly left: readonly string[];
  /** A change of its own, so that its version is the next one; a summary may stand for many. */
  readonly isSingle: boolean;
  /** It does not name everybody who came and went. */
  readonly isPartial: boolean;
}

type State =
  | { readonly kind: "unknown" }
  /** A change was missed: what was known cannot be continued. */
  | { readonly kind: "behind" }
  | { readonly kind: "known"; readonly members: Set<string>; version: number };

/** How a view stands beside the room's members as the server tells them. */
export type Verdict = "equal" | "other" | "not yet" | "newer" | "unknown" | "behind";

/** Whom one member takes for present: what its join told, and every event since. */
export class PresenceView {
  readonly #onBehind: () => void;
  #state: State = { kind: "unknown" };
  /** What was heard while an answer is on its way that may be older or newer. */
  #held: Change[] | undefined;

  /** `onBehind` is called when a change was missed, and `getMembers` is due. */
  constructor(onBehind: () => void) {
    this.#onBehind = onBehind;
  }

  get isBehind(): boolean {
    return this.#state.kind === "behind";
  }

  /** Keeps what comes from now on until `start`, `beside` or `release`. */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const change of held) this.#apply(change);
  }

  /** All members, as an ack had them at this version. */
  start(members: readonly string[], version: number): void {
    this.#state = { kind: "known", members: new Set(members), version };
    this.release();
  }

  /** Nothing is known from now on: too many members for one ack, or the room was left. */
  stop(): void {
    this.#state = { kind: "unknown" };
    this.#held = undefined;
  }

  heard(name: "userJoined" | "userLeft", { user, version }: ServerEvents["userJoined"]): void {
    const [joined, left] = name === "userJoined" ? [[user.id], []] : [[], [user.id]];
    this.#hear({ version, joined, left, isSingle: true, isPartial: false });
  }

  heardUpdate({ version }: ServerEvents["userUpdated"]): void {
    this.#hear({ version, joined: [], left: [], isSingle: true, isPartial: false });
  }

  heardSummary({ joined, left, version, partial }: ServerEvents["presence"]): void {
    const ids = (members: typeof joined) => members.map(({ id }) => id);
    this.#hear({ version, joined: ids(joined), left: ids(left), isSingle: false, isPartial: partial === true });
  }

  /** Compares, while held, with the members that the server had at this version. */
  beside(members: readonly string[], version: number): Verdict {
    const held = this.#held ?? [];
    this.#held &&= held.filter((change) => change.version > version);
    for (const change of held) if (change.version <= version) this.#apply(change);
    // News come in their order: what lies between the view and these will not come any more.
    const state = this.#state;
    const isPassed = state.kind === "known" && state.version < version;
    if (isPassed && held.some((change) => change.isPartial || change.version > version)) this.release();
    if (this.#state.kind !== "known") return this.#state.kind;
    if (this.#state.version < version) return "not yet";
    if (this.#state.version > version) return "newer";
    const known = this.#state.members;
    return known.size === members.length && members.every((id) => known.has(id)) ? "equal" : "other";
  }

  /** Both sides in words, for whoever looks into a difference. */
  describeBeside(members: readonly string[], version: number): string {
    const state = this.#state;
    if (state.kind !== "known") return `${state.kind} beside version ${version}`;
    const missing = members.filter((id) => !state.members.has(id));
    const tooMany = [...state.members].filter((id) => !members.includes(id));
    return `version ${state.version} beside ${version}, lacks [${missing}], has too many [${tooMany}]`;
  }

  #hear(change: Change): void {
    if (this.#held !== undefined) this.#held.push(change);
    else this.#apply(change);
  }

  #apply({ version, joined, left, isSingle, isPartial }: Change): void {
    const state = this.#state;
    if (state.kind !== "known" || (version <= state.version && !isPartial)) return;
    if (isPartial || (isSingle && version > state.version + 1)) {
      this.#state = { kind: "behind" };
      this.#onBehind();
      return;
    }
    for (const id of joined) state.members.add(id);
    for (const id of left) state.members.delete(id);
    state.version = version;
  }
}
