import type { Socket } from "socket.io-client";
import { expect, it } from "vitest";
import type { ServerEvents } from "../../src/protocol.ts";
import { apiOf } from "../support/api.ts";
import { connectClient, stockClient } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { Member } from "../support/member.ts";
import { describeWithRedis } from "../support/redis.ts";
import { startSticky } from "../support/sticky.ts";
import { signToken } from "../support/token.ts";
import { connectWitness } from "../support/witness.ts";

const ROOM = "chat:lease";
/** G4 promises 10 s; the rest is slack for a busy machine. */
const GONE_WITHIN_MS = 10_000 + 2_000;

/** Everything that a client hears of who comes and goes. */
function comings(socket: Socket): string[] {
  const heard: string[] = [];
  socket.on("userJoined", ({ user }: ServerEvents["userJoined"]) => heard.push(`+${user.id}`));
  socket.on("userLeft", ({ user }: ServerEvents["userLeft"]) => heard.push(`-${user.id}`));
  return heard;
}

async function memberOn(url: string, sub: string): Promise<Member> {
  const member = new Member((await connectClient(url, await signToken({ sub }))).socket, ROOM);
  await eventually(() => expect(member.joined).toBe(true));
  return member;
}

async function present(member: Member): Promise<string[]> {
  const ack = await member.socket.emitWithAck("getMembers", { room: ROOM });
  return ack.members.map(({ id }: { id: string }) => id).sort();
}

describeWithRedis("leases", () => {
  it.concurrent("[G4] the members of a killed node are out of the room within 10 s, announced once", async () => {
    const cluster = await startCluster();
    const [first = "", second = "", third = ""] = cluster.urls;
    const stays = await memberOn(first, "stays");
    const byFirst = comings(stays.socket);
    const watches = await memberOn(third, "watches");
    const byThird = comings(watches.socket);
    await eventually(() => expect(byFirst).toEqual(["+watches"]));
    const dies = await memberOn(second, "dies");
    await eventually(() => expect([byFirst, byThird]).toEqual([["+watches", "+dies"], ["+dies"]]));
    dies.socket.io.reconnection(false);
    await cluster.kill(1);
    await eventually(
      () =>
        expect([byFirst, byThird]).toEqual([
          ["+watches", "+dies", "-dies"],
          ["+dies", "-dies"],
        ]),
      { withinMs: GONE_WITHIN_MS },
    );
    expect(await present(stays)).toEqual(["stays", "watches"]);

    // A node of the same name is another one: it does not take what its predecessor left.
    await cluster.restart(1);
    await memberOn(second, "dies");
    await eventually(() => expect(byFirst).toEqual(["+watches", "+dies", "-dies", "+dies"]));
    expect(await present(watches)).toEqual(["dies", "stays", "watches"]);
  });

  it.concurrent("[G4] a node that was only paused for longer than its lease puts its members back", async () => {
    const cluster = await startCluster();
    const [first = "", second = ""] = cluster.urls;
    const stays = await memberOn(first, "stays");
    const heard = comings(stays.socket);
    const sleeps = await memberOn(second, "sleeps");
    // Members of another node may hear of a join a moment after its acknowledgement.
    await eventually(() => expect(heard).toEqual(["+sleeps"]));
    await cluster.kill(1, "SIGSTOP");
    await eventually(() => expect(heard).toEqual(["+sleeps", "-sleeps"]), { withinMs: GONE_WITHIN_MS });
    await cluster.kill(1, "SIGCONT");
    await eventually(() => expect(heard).toEqual(["+sleeps", "-sleeps", "+sleeps"]), { withinMs: GONE_WITHIN_MS });
    const seq = await stays.send("after");
    await eventually(() => expect(sleeps.messages.at(-1)?.seq).toBe(seq));
    expect(await present(stays)).toEqual(["sleeps", "stays"]);
    sleeps.stop();
    await eventually(() => expect(heard).toEqual(["+sleeps", "-sleeps", "+sleeps", "-sleeps"]));
  });

  it.concurrent("[G4] a node that was paused does not write an older state of a user over a newer one of another node", async () => {
    const cluster = await startCluster({ nodes: 2 });
    const [first = "", second = ""] = cluster.urls;
    const [sleeps, stays] = [
      await connectWitness(first, { claims: { sub: "ada" } }),
      await connectWitness(second, { claims: { sub: "ada" } }),
    ];
    const watches = await connectWitness(second, { claims: { sub: "ben" } });
    await watches.ok("joinRoom", { room: ROOM });
    await sleeps.ok("joinRoom", { room: ROOM, state: { mood: "old" } });
    await stays.ok("joinRoom", { room: ROOM });
    const state = async () => {
      const { members } = await watches.ok("getMembers", { room: ROOM });
      return members.find(({ id }) => id === "ada")?.state;
    };
    expect(await state()).toEqual({ mood: "old" });
    const connections = async () => (await apiOf(second)("GET", `/rooms/${ROOM}`)).body.connections;
    await cluster.kill(0, "SIGSTOP");
    await eventually(async () => expect(await connections()).toBe(2), { withinMs: GONE_WITHIN_MS });
    await stays.ok("setState", { room: ROOM, state: { mood: "new" } });
    await cluster.kill(0, "SIGCONT");
    await eventually(async () => expect(await connections()).toBe(3), { withinMs: GONE_WITHIN_MS });
    expect(await state()).toEqual({ mood: "new" });
    expect(watches.of("userUpdated").map(({ user }) => user.state)).toEqual([{ mood: "new" }]);
  });

  it.concurrent("[G8] who comes back from a stopped node within the grace was never gone; who does not is, once", async () => {
    const cluster = await startCluster({ env: { GRACE_SECONDS: "6" } });
    const sticky = await startSticky(cluster);
    const stays = await memberOn(cluster.urls[0] ?? "", "stays");
    const heard = comings(stays.socket);
    const moves: Member[] = [];
    for (let who = 0; who < 6; who++) {
      const socket = stockClient(sticky.url, await signToken({ sub: `moves-${who}` }), { reconnectionDelay: 50 });
      moves.push(new Member(socket, ROOM));
      socket.connect();
    }
    await eventually(() => expect(moves.every(({ joined }) => joined)).toBe(true));
    const goes = await memberOn(cluster.urls[1] ?? "", "goes");
    goes.socket.io.reconnection(false);
    await eventually(() => expect(heard).toHaveLength(7));
    for (const node of [1, 2]) {
      await cluster.restart(node);
      await eventually(() => expect(moves.every(({ joined }) => joined)).toBe(true));
    }
    const seq = await stays.send("after the roll");
    await eventually(() => expect(moves.every(({ messages }) => messages.at(-1)?.seq === seq)).toBe(true));
    await eventually(() => expect(heard.at(-1)).toBe("-goes"), { withinMs: 6_000 + GONE_WITHIN_MS });
    expect(heard.filter((change) => change.startsWith("-"))).toEqual(["-goes"]);
    expect(heard.filter((change) => change.startsWith("+"))).toHaveLength(7);
    for (const member of moves) expect(member.violations).toEqual([]);
  });
});
