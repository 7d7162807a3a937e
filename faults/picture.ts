import type { ServerEvents, WireMember } from "../src/protocol.ts";

type Change = ServerEvents["userJoined"] | ServerEvents["userLeft"] | ServerEvents["presence"];

/** Who is in one room, as a client knows it by the protocol's own rules: a version that was missed means asking. */
export class Picture {
  readonly #users = new Set<string>();
  #version = 0;

  get users(): string[] {
    return [...this.#users].sort();
  }

  /** From the ack of a join or of `getMembers`. False where changes have overtaken it: ask again. */
  replace(members: readonly WireMember[], version: number, fresh: boolean): boolean {
    if (!fresh && version < this.#version) return false;
    this.#users.clear();
    for (const { id } of members) this.#users.add(id);
    this.#version = version;
    return true;
  }

  /** `old`: known already. `missed`: changes before this one did not come, ask. */
  take(
    joined: readonly WireMember[],
    left: readonly WireMember[],
    { version }: Pick<Change, "version">,
  ): "taken" | "old" | "missed" {
    if (version <= this.#version) return "old";
    const missed = version > this.#version + Math.max(1, joined.length + left.length);
    this.#version = version;
    if (missed) return "missed";
    for (const { id } of joined) this.#users.add(id);
    for (const { id } of left) this.#users.delete(id);
    return "taken";
  }
}
