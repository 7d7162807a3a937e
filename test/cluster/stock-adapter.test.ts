import type { Redis } from "ioredis";
import { beforeAll, expect, it } from "vitest";
import { parseConfig } from "../../src/config/config.ts";
import { freePort } from "../../src/local/ports.ts";
import { createNode } from "../../src/node.ts";
import { roomType } from "../../src/protocol.ts";
import { createLogger } from "../../src/telemetry/log.ts";
import { stockClient, TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/private-redis.ts";
import { channelsUnder, keysWith, publishedOn, rawRedis, subscribersOf } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { roomTypesFile } from "../support/room-types.ts";
import { redisUrl } from "../support/run-redis.ts";
import { type StockNode, startStockNode } from "../support/stock-node.ts";
import { stopsWithTest } from "../support/teardown.ts";
import { JWT_SECRET, signToken } from "../support/token.ts";
import { connectWitness, Witness } from "../support/witness.ts";

const LINGER_MS = 300;
/** Rooms of the service itself, which every node follows. */
const OWN_ROOMS = ["_control", "_canary"];
/** The stock adapter takes every name of 20 characters for a socket's id, and publishes to those on another channel. */
const ROOMS = ["chat:stock", "chat:0123456789abcde", "room.123456789.abcde", "räume:0123456789abcd"];

const channelOf = (prefix: string, room: string) => `${prefix}#/#${room}#`;

/** A client of the stock node that has entered a room, and is subscribed. */
async function stockMember(stock: StockNode, redis: Redis, channel: string, room: string): Promise<Witness> {
  const before = await subscribersOf(redis, channel);
  const socket = stockClient(stock.url, "", { transports: ["websocket"] });
  const seen = new Witness(socket);
  socket.connect();
  await socket.timeout(5_000).emitWithAck("enter", room);
  // The stock adapter subscribes without waiting for it.
  await eventually(async () => expect(await subscribersOf(redis, channel)).toBe(before + 1));
  return seen;
}

/** One member on each node, each by another transport. */
async function membersOf(cluster: TestCluster, room: string): Promise<Witness[]> {
  const members: Witness[] = [];
  for (const [index, transports] of Object.values(TRANSPORTS).entries()) {
    const member = await connectWitness(cluster.urls[index] ?? "", { claims: { sub: `u${index}` }, transports });
    await member.ok("joinRoom", { room });
    members.push(member);
  }
  return members;
}

const custom = ({ seen }: Witness) => seen.filter(({ name }) => name === "custom").map(({ payload }) => payload);

describeWithRedis("a plain Socket.IO node with the stock sharded adapter beside three nodes", () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ env: { FEED_LINGER_MS: String(LINGER_MS), GRACE_SECONDS: "0" } });
    return () => cluster.stop();
  });

  for (const room of ROOMS) {
    const title = room.length === 20 ? `${room}, which has 20 characters` : room;
    it(`emits, signals, messages and presence travel both ways (${title})`, async () => {
      const redis = rawRedis();
      const channel = channelOf(cluster.prefix, room);
      const stock = await startStockNode(cluster.prefix);
      const members = await membersOf(cluster, room);
      const [ada, ben] = members;
      if (ada === undefined || ben === undefined) throw new Error("three members");
      const outsider = await connectWitness(cluster.urls[0] ?? "");
      const guest = await stockMember(stock, redis, channel, room);
      const everybody = [...members, guest];

      const payloads = [{ text: 'quotes " and \u2028 and 😀' }, { bytes: Buffer.from([0, 1, 255]) }];
      for (const payload of payloads) stock.io.to(room).emit("custom", payload);
      await eventually(() => {
        for (const member of everybody) expect(custom(member)).toEqual(payloads);
      });

      await ada.ok("sendSignal", { room, event: "typing", data: { on: true } });
      await ada.ok("sendSignal", { room, event: "pen", data: Buffer.from([7, 0, 255]) });
      const signals = [
        { room, from: { id: "u0" }, event: "typing", data: { on: true } },
        { room, from: { id: "u0" }, event: "pen", data: Buffer.from([7, 0, 255]) },
      ];
      await eventually(() => {
        for (const member of [guest, ...members.slice(1)]) expect(member.of("signal")).toEqual(signals);
      });

      const ids = ["first", "second", "third"];
      for (const [index, id] of ids.entries()) await members[index]?.ok("sendMessage", { room, id, data: { id } });
      await eventually(() => {
        for (const member of everybody) expect(member.of("message").map(({ id }) => id)).toEqual(ids);
      });
      expect(guest.of("message")).toEqual(ada.of("message"));

      const late = await connectWitness(cluster.urls[2] ?? "", { claims: { sub: "late", name: "Ludwig" } });
      await late.ok("joinRoom", { room, state: { seat: 4 } });
      await late.ok("setState", { room, state: { seat: 5 } });
      late.socket.disconnect();
      const user = { id: "late", name: "Ludwig" };
      const joined = { room, user: { ...user, state: { seat: 4 } }, memberCount: 4, version: 4 };
      await eventually(() => {
        for (const member of [guest, ben]) {
          expect(member.of("userJoined").filter(({ version }) => version > 3)).toEqual([joined]);
          expect(member.of("userUpdated")).toEqual([{ room, user: { ...user, state: { seat: 5 } }, version: 5 }]);
          expect(member.of("userLeft")).toEqual([
            { room, user: { ...user, state: { seat: 5 } }, memberCount: 3, version: 6 },
          ]);
        }
      });

      // Everything has passed by now: nothing came twice, to the sender of a signal, or to who is not in the room.
      expect(ada.of("signal")).toEqual([]);
      for (const member of everybody) expect(custom(member)).toHaveLength(payloads.length);
      expect(outsider.seen).toEqual([]);
      for (const { socket } of [...members, outsider]) socket.disconnect();
    });
  }

  it("an application that embeds a node emits to rooms, and hears the stock node's emits", async () => {
    const room = "chat:embedded";
    const config = parseConfig({
      PORT: "0",
      ADMIN_PORT: "0",
      REDIS_URL: redisUrl(),
      REDIS_PREFIX: cluster.prefix,
      JWT_SECRET,
    });
    const embedded = createNode({ config, log: createLogger("silent", "embedded") });
    const { port } = await embedded.start();
    stopsWithTest(() => embedded.stop());
    const redis = rawRedis();
    const stock = await startStockNode(cluster.prefix);
    const member = await connectWitness(cluster.urls[1] ?? "");
    const own = await connectWitness(`http://127.0.0.1:${port}`);
    await member.ok("joinRoom", { room });
    await own.ok("joinRoom", { room });
    const guest = await stockMember(stock, redis, channelOf(cluster.prefix, room), room);

    embedded.io.to(room).emit("custom", "from Roomcast");
    stock.io.to(room).emit("custom", "from the stock node");
    await eventually(() => {
      for (const seen of [member, own, guest]) {
        expect(custom(seen).toSorted()).toEqual(["from Roomcast", "from the stock node"]);
      }
    });
  });

  it("fetchSockets on the stock node shows every socket and no token, whichever way it came", async () => {
    const stock = await startStockNode(cluster.prefix);
    const byAuth = await signToken();
    const byHeader = await signToken();
    const byBoth = [await signToken(), await signToken()] as const;
    const bearer = (token: string) => ({ extraHeaders: { Authorization: `Bearer ${token}` } });
    const ids: (string | undefined)[] = [];
    for (const transports of Object.values(TRANSPORTS)) {
      for (const [url, options] of [
        [cluster.urls[0], { token: byAuth }],
        [cluster.urls[1], { token: "", ...bearer(byHeader) }],
        [cluster.urls[2], { token: byBoth[0], ...bearer(byBoth[1]) }],
      ] as const) {
        const { socket } = await connectWitness(url ?? "", { ...options, transports });
        ids.push(socket.id);
      }
    }

    // Answers travel by channels of their own. On the common one the adapter would count us as a node, and wait for us.
    const channels = await channelsUnder(rawRedis(), cluster.prefix);
    const published = await publishedOn(channels.filter((channel) => channel !== `${cluster.prefix}#/#`));
    const found = await stock.io.fetchSockets();
    expect(found.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));

    const answers = () => published.filter((text) => text.includes("handshake"));
    await eventually(() => expect(answers()).toHaveLength(cluster.urls.length));
    const shown = JSON.stringify(found.map(({ data, handshake, rooms }) => ({ data, handshake, rooms: [...rooms] })));
    for (const token of [byAuth, byHeader, ...byBoth]) {
      const signature = token.split(".")[2] ?? "";
      for (const text of [shown, ...published]) expect(text).not.toContain(signature);
    }
  });

  it("a room left and joined again at once is never deaf: neither to the log nor to stock emits", async () => {
    const room = "chat:again";
    const stock = await startStockNode(cluster.prefix);
    const redis = rawRedis();
    const member = await connectWitness(cluster.urls[0] ?? "");
    const talker = await connectWitness(cluster.urls[1] ?? "");
    await talker.ok("joinRoom", { room });
    const rounds = Array.from({ length: 20 }, (_, round) => round);
    for (const round of rounds) {
      await member.ok("joinRoom", { room });
      stock.io.to(room).emit("custom", round);
      await talker.ok("sendMessage", { room, data: round });
      await eventually(() => expect(custom(member).at(-1)).toBe(round));
      await eventually(() => expect(member.of("message").at(-1)?.data).toBe(round));
      await member.ok("leaveRoom", { room });
      if (round === 10) {
        const channel = channelOf(cluster.prefix, room);
        await eventually(async () => expect(await subscribersOf(redis, channel)).toBe(1));
      }
    }
    expect(custom(member)).toEqual(rounds);
    expect(member.of("message").map(({ data }) => data)).toEqual(rounds);
  });

  it("a node that has nobody in the room is not subscribed to it", async () => {
    const room = "chat:quiet";
    const channel = channelOf(cluster.prefix, room);
    const redis = rawRedis();
    const subscribers = (count: number) =>
      eventually(async () => expect(await subscribersOf(redis, channel)).toBe(count));
    const [ada, ben, bea] = await Promise.all(
      [cluster.urls[0], cluster.urls[1], cluster.urls[1]].map((url) => connectWitness(url ?? "")),
    );
    if (ada === undefined || ben === undefined || bea === undefined) throw new Error("three members");
    for (const member of [ada, ben, bea]) await member.ok("joinRoom", { room });
    await subscribers(2);
    await connectWitness(cluster.urls[2] ?? "").then((other) => other.ok("getHistory", { room }));
    await subscribers(2);

    await ben.ok("leaveRoom", { room });
    await ada.ok("sendMessage", { room, data: 1 });
    await eventually(() => expect(bea.of("message")).toHaveLength(1));
    await subscribers(2);
    bea.socket.disconnect();
    await subscribers(1);
    await ada.ok("leaveRoom", { room });
    await subscribers(0);
  });
});

describeWithRedis("what three nodes keep in Redis", () => {
  it("PUBSUB SHARDCHANNELS shows one channel an occupied room, and none after everybody left", async () => {
    const redis = rawRedis();
    const { prefix, urls } = await startCluster({ env: { FEED_LINGER_MS: String(LINGER_MS), GRACE_SECONDS: "1" } });
    const channels = () => channelsUnder(redis, prefix);
    const before = await channels();
    // The adapter's common channel, those of the service's own rooms, and for each node the adapter's own and the pulse.
    expect(before.filter((channel) => channel === `${prefix}#/#`)).toHaveLength(1);
    expect(before.filter((channel) => /#[0-9a-f]{16}#$/.test(channel))).toHaveLength(urls.length);
    expect(before.filter((channel) => channel.startsWith(`${prefix}:pulse:`))).toHaveLength(urls.length);
    for (const room of OWN_ROOMS) expect(before).toContain(channelOf(prefix, room));
    expect(before).toHaveLength(1 + OWN_ROOMS.length + 2 * urls.length);

    const rooms = ["chat:1", "chat:2", "lobby", ...ROOMS];
    const leavers = await Promise.all(urls.map((url) => connectWitness(url)));
    const quitters = await Promise.all(urls.map((url) => connectWitness(url)));
    const losers = await Promise.all(urls.map((url) => connectWitness(url, { reconnection: false })));
    for (const member of [...leavers, ...quitters, ...losers]) {
      for (const room of rooms) await member.ok("joinRoom", { room });
    }
    const occupied = rooms.map((room) => channelOf(prefix, room));
    expect(await channels()).toEqual([...before, ...occupied].sort());
    for (const channel of occupied) expect(await subscribersOf(redis, channel)).toBe(urls.length);

    for (const { socket } of quitters) socket.disconnect();
    for (const { socket } of losers) socket.io.engine.close();
    for (const member of leavers) for (const room of rooms) await member.ok("leaveRoom", { room });
    await eventually(async () => expect(await channels()).toEqual(before));
  });

  it("every key of a room has the slot of the room's channel", async () => {
    const redis = rawRedis();
    // Only a server in cluster mode tells slots. The nodes do not use it: one that owns all slots notices no mistake.
    const clusterPort = String(await freePort());
    const { url } = await startRedis({ settings: ["--cluster-enabled", "yes", "--cluster-port", clusterPort] });
    const slots = rawRedis(url);
    const slotOf = (name: string) => slots.call("CLUSTER", "KEYSLOT", name);
    const types = await roomTypesFile(Object.fromEntries(ROOMS.map((room) => [roomType(room), { maxMembers: 1 }])));
    stopsWithTest(types.remove);
    const { prefix, urls } = await startCluster({ nodes: 2, env: { ROOM_TYPES: types.path } });
    const [ada, ben] = await Promise.all(urls.map((nodeUrl) => connectWitness(nodeUrl)));
    for (const room of ROOMS) {
      await ada?.ok("joinRoom", { room, state: { any: true } });
      await ada?.ok("sendMessage", { room, data: 1 });
      // A join that was refused is given up, which leaves a mark for one that comes late.
      await ben?.refused("joinRoom", { room });
    }
    await eventually(async () => {
      const marks = (await keysWith(redis, prefix)).filter((key) => key.includes("#}:left:"));
      expect(marks).toHaveLength(ROOMS.length);
    });

    const keys = await keysWith(redis, prefix);
    const known = new Set(
      keys.filter((key) =>
        /^[^{]+:(\{node:[\w-]+\}:(rooms|beat)|\{nodes\}:(leases|gone|released|info)|\{rooms:\d+\}:occupied)$/.test(key),
      ),
    );
    for (const room of OWN_ROOMS) {
      const own = keys.filter((key) => key.startsWith(`{${channelOf(prefix, room)}}:`));
      for (const key of own) if (/:(meta|log|id:.+)$/.test(key)) known.add(key);
    }
    for (const room of ROOMS) {
      const channel = channelOf(prefix, room);
      const ofRoom = keys.filter((key) => key.startsWith(`{${channel}}:`));
      const kinds = ofRoom.map((key) => key.slice(channel.length + 3).split(":")[0]);
      expect(new Set(kinds)).toEqual(new Set(["meta", "log", "presence", "members", "id", "left"]));
      const slot = await slotOf(channel);
      for (const key of ofRoom) {
        expect(await slotOf(key)).toBe(slot);
        known.add(key);
      }
    }
    expect(keys.filter((key) => !known.has(key))).toEqual([]);
  });
});
