import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import { stockClient, TRANSPORTS } from "./client.ts";
import { devToken } from "./compose.ts";
import { eventually } from "./eventually.ts";
import { Member } from "./member.ts";

const MEMBERS = 9;

interface PresenceEvent {
  readonly user: { readonly id: string };
}

export interface Entered {
  readonly members: Member[];
  /** The names of all nodes that ever served them. */
  readonly nodes: ReadonlySet<string>;
  /** Of whom anybody was told that they left, or that they came although they were there. */
  readonly flaps: readonly string[];
}

/** Members by every transport through the balancer. */
export async function enter(url: string, room: string): Promise<Entered> {
  const members: Member[] = [];
  const flaps: string[] = [];
  const nodes = new Set<string>();
  const kinds = Object.values(TRANSPORTS);
  for (let who = 0; who < MEMBERS; who++) {
    const socket = stockClient(url, await devToken(url, `u${who}`), {
      transports: [...(kinds[who % kinds.length] ?? [])],
      reconnectionDelay: 100,
      reconnectionDelayMax: 1_000,
    });
    const known = new Set<string>();
    socket.on("userLeft", ({ user }: PresenceEvent) => flaps.push(`${user.id} left, to u${who}`));
    socket.on("userJoined", ({ user }: PresenceEvent) => {
      if (known.has(user.id)) flaps.push(`${user.id} came again, to u${who}`);
      known.add(user.id);
    });
    socket.on("welcome", ({ node }: { node: string }) => nodes.add(node));
    members.push(new Member(socket, room));
    socket.connect();
  }
  await eventually(() => expect(members.every(({ joined }) => joined)).toBe(true), { withinMs: 20_000 });
  return { members, nodes, flaps };
}

export function talkAll(members: readonly Member[]): { stop(): Promise<void> } {
  let talking = true;
  const sent = members.map(async (member, who) => {
    for (let index = 0; talking; index++) {
      await member.send(`m${who}-${index}`);
      await delay(50);
    }
  });
  return {
    async stop() {
      talking = false;
      await Promise.all(sent);
    },
  };
}

/** How long members were out of the room after a lost connection, in words. */
export function recoveryOf(members: readonly Member[]): string {
  const sorted = members.flatMap(({ outagesMs }) => outagesMs).sort((a, b) => a - b);
  const at = (share: number) => `${Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)} ms`;
  return `${sorted.length} recoveries: p50 ${at(0.5)}, p99 ${at(0.99)}, longest ${at(1)}`;
}

/** All that was acknowledged is with every member, once and in order. */
export async function expectComplete(members: readonly Member[]): Promise<void> {
  const end = Math.max(...members.flatMap(({ acked }) => [...acked.values()]));
  await eventually(
    () => {
      for (const member of members) expect(member.messages.at(-1)?.seq).toBeGreaterThanOrEqual(end);
    },
    { withinMs: 20_000 },
  );
  for (const member of members) {
    expect(member.violations).toEqual([]);
    expect(member.runs).toHaveLength(1);
    const ids = member.messages.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const talker of members) for (const id of talker.acked.keys()) expect(ids).toContain(id);
  }
}
