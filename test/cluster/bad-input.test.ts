import { beforeAll, expect, it } from "vitest";
import { REQUESTS, type RequestName } from "../../src/protocol.ts";
import { TRANSPORTS } from "../support/client.ts";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { keysOfRooms, rawRedis } from "../support/raw-redis.ts";
import { describeWithRedis } from "../support/redis.ts";
import { connectWitness, type Witness } from "../support/witness.ts";
import { BINARY, deep, hidden, REQUEST_FIELDS, ROOM } from "../support/wrong-fields.ts";

const NAMES = Object.keys(REQUESTS) as RequestName[];

describeWithRedis("bad input", () => {
  let cluster: TestCluster;
  let member: Witness;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1, env: { RATE_LIMITS: "off" } });
    member = await connectWitness(cluster.urls[0] ?? "", { claims: { sub: "ada" } });
    await member.ok("joinRoom", { room: ROOM });
    return async () => {
      member.socket.disconnect();
      await cluster.stop();
    };
  });

  /** Runs `work`, after which the node must be as before it: nothing stored, the same connection, and it still serves. */
  async function harmless(work: () => Promise<void>): Promise<void> {
    const redis = rawRedis();
    const state = async () => {
      const { position } = await member.ok("getHistory", { room: ROOM });
      const { memberCount, version, members } = await member.ok("getMembers", { room: ROOM });
      return { position, memberCount, version, members, keys: await keysOfRooms(redis, cluster.prefix) };
    };
    const connection = member.socket.id;
    const before = await state();
    await work();
    expect(await state()).toEqual(before);
    expect(member.socket.id).toBe(connection);
    const { seq } = await member.ok("sendMessage", { room: ROOM, data: "still here" });
    await eventually(() => expect(member.of("message").at(-1)?.seq).toBe(seq));
    expect(cluster.node(0).isAlive()).toBe(true);
  }

  for (const name of NAMES) {
    const { right, fields } = REQUEST_FIELDS[name];
    it(`${name}: every wrong field is named, and nothing happens`, async () => {
      expect(Object.keys(fields).sort()).toEqual(Object.keys(REQUESTS[name].shape).sort());
      await harmless(async () => {
        for (const [field, values] of Object.entries(fields)) {
          for (const [title, value, names = field] of values) {
            const together = title === "together with before" ? { before: 5 } : {};
            const { error } = await member.refused(name, { ...right, ...together, [field]: value });
            const where = `${name} with ${field} ${title}: ${error.code}: ${error.message}`;
            expect(error.code, where).toBe(
              title.startsWith("too large") && !isNumber(value) ? "payload_too_large" : "bad_request",
            );
            for (const said of error.message.split("; ")) expect(said.startsWith(`${names} `), where).toBe(true);
            expect(error.retryable, where).toBe(false);
          }
        }
      });
    });

    it(`${name}: what is no object is refused, and fields that stand in __proto__ do not count`, async () => {
      await harmless(async () => {
        for (const payload of [null, undefined, 7, "text", true, [], [right], BINARY]) {
          const { error } = await member.refused(name, payload);
          expect(error).toEqual({ code: "bad_request", message: `${name} takes one JSON object`, retryable: false });
        }
        const { error: none } = await member.refused(name);
        expect(none).toEqual({ code: "bad_request", message: `${name} takes one JSON object`, retryable: false });
        for (const payload of [hidden(JSON.stringify(right)), {}]) {
          const { error } = await member.refused(name, payload);
          expect(error.code).toBe("bad_request");
          for (const field of Object.keys(right))
            expect(error.message).toMatch(new RegExp(`${field} (is required|must be)`));
        }
      });
    });
  }

  it("unknown fields are ignored, however deep or strange", async () => {
    const room = "chat:newer";
    const more = { toJSON: 1, constructor: { prototype: {} }, deep: deep(1_000), binary: BINARY };
    await member.ok("joinRoom", { room, ...more });
    const { id } = await member.ok("sendMessage", { room, data: 1, ...more, ...(hidden('{"id":"no"}') as object) });
    expect(id).not.toBe("no");
    await eventually(() => expect(member.of("message", room)).toHaveLength(1));
    expect(Object.keys(member.of("message", room)[0] ?? {}).sort()).toEqual(
      ["data", "event", "from", "id", "room", "seq", "ts"].sort(),
    );
  });

  it("a failed sendMessage says which id it had, wherever it failed", async () => {
    const id = "the-id";
    const outside = await member.refused("sendMessage", { room: "chat:outside", data: 1, id });
    const large = await member.refused("sendMessage", { room: ROOM, data: "x".repeat(70_000), id });
    const missing = await member.refused("sendMessage", { room: ROOM, id });
    const reader = await connectWitness(cluster.urls[0] ?? "", { claims: { rooms: { "*": ["join"] } } });
    const forbidden = await reader.refused("sendMessage", { room: ROOM, data: 1, id });
    const answers = [outside, large, missing, forbidden];
    expect(answers.map((answer) => answer.error.code)).toEqual([
      "not_in_room",
      "payload_too_large",
      "bad_request",
      "forbidden",
    ]);
    expect(answers.map((answer) => answer.id)).toEqual([id, id, id, id]);
    // Where the server made the id it is told too: sending again with it is what makes the retry safe.
    expect((await member.refused("sendMessage", { room: "chat:outside", data: 1 })).id).toMatch(/^[\w-]{36}$/);
    // An id that is wrong itself is not repeated.
    expect((await member.refused("sendMessage", { room: ROOM, data: 1, id: 7 })).id).toBeUndefined();
  });

  it("requests without an ack, or with something else in its place, are served all the same", async () => {
    const room = "chat:no-ack";
    member.socket.emit("joinRoom", { room });
    await eventually(() => member.ok("setState", { room, state: {} }));
    member.socket.emit("sendMessage", { room, data: 1, id: "one" });
    member.socket.emit("sendMessage", { room, data: 2, id: "two" }, "no function");
    member.socket.emit("sendMessage", { room, data: 3, id: "three" }, { ack: true }, null);
    member.socket.emit("sendMessage", { room });
    member.socket.emit("sendMessage");
    await eventually(() => expect(member.of("message", room).map(({ id }) => id)).toEqual(["one", "two", "three"]));
  });

  it("an ack id that is used twice is answered twice, and harms nobody", async () => {
    await harmless(async () => {
      const answers: string[] = [];
      const { engine } = member.socket.io;
      const listen = (raw: unknown) => {
        if (typeof raw === "string" && raw.startsWith("3777")) answers.push(raw);
      };
      engine.on("message", listen);
      for (let time = 0; time < 2; time++) engine.write(`2777["getMembers",${JSON.stringify({ room: ROOM })}]`);
      await eventually(() => expect(answers).toHaveLength(2));
      for (const answer of answers) expect(answer).toMatch(/^3777\[\{"ok":true/);
      engine.off("message", listen);
    });
  });

  it("nesting that no client could encode is refused like any other", async () => {
    await harmless(async () => {
      const answers: string[] = [];
      const { engine } = member.socket.io;
      const listen = (raw: unknown) => {
        if (typeof raw === "string" && /^3(80[0-9])\[/.test(raw)) answers.push(raw);
      };
      engine.on("message", listen);
      const nest = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
      const target = JSON.stringify(ROOM);
      engine.write(`2801["sendMessage",{"room":${target},"data":${nest}}]`);
      engine.write(`2802["sendSignal",{"room":${target},"event":"e","data":${nest}}]`);
      engine.write(`2803["setState",{"room":${target},"state":{"a":${nest}}}]`);
      engine.write(`2804["joinRoom",{"room":${nest}}]`);
      engine.write(`2805["getHistory",${nest}]`);
      await eventually(() => expect(answers).toHaveLength(5));
      for (const answer of answers) expect(answer).toContain('"code":"bad_request"');
      engine.off("message", listen);
    });
  });

  const BROKEN = [
    '2["joinRoom"',
    "2[]",
    '2["disconnect"]',
    '2["newListener",1]',
    "7",
    "5",
    '51-["sendMessage"]',
    "",
    "x",
  ];
  it(`frames that are no Socket.IO end their connection at most: ${BROKEN.join(" ")}`, async () => {
    await harmless(async () => {
      for (const frame of BROKEN) {
        const vandal = await connectWitness(cluster.urls[0] ?? "", { reconnection: false });
        vandal.socket.io.engine.write(frame);
        vandal.socket.io.engine.write('2["error","made up"]');
        vandal.socket.io.engine.write('2["__proto__",{"x":1}]');
        await eventually(async () => {
          if (vandal.socket.connected) await vandal.ok("getMembers", { room: ROOM });
        });
        vandal.socket.disconnect();
      }
    });
  });

  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    it(`[G9] a frame over 1 MB ends its connection, which comes back, and the node lives (${name})`, async () => {
      await harmless(async () => {
        const vandal = await connectWitness(cluster.urls[0] ?? "", { transports, reconnectionDelay: 50 });
        const large = await vandal.refused("joinRoom", { room: ROOM, state: { text: "x".repeat(900_000) } });
        expect(large.error.code).toBe("payload_too_large");
        const first = vandal.socket.id;
        vandal.socket.emit("sendMessage", { room: ROOM, data: "x".repeat(1_100_000) });
        await eventually(() => {
          expect(vandal.socket.id).toBeDefined();
          expect(vandal.socket.id).not.toBe(first);
        });
        await vandal.ok("getMembers", { room: ROOM });
        vandal.socket.disconnect();
      });
    });
  }

  it("a request that breaks is answered `internal`, its cause is logged once, and the node lives", async () => {
    const room = "chat:broken";
    const redis = rawRedis();
    const key = `{${cluster.prefix}#/#${room}#}:meta`;
    await redis.set(key, "not what it should be");
    const { error } = await member.refused("getHistory", { room });
    expect(error).toEqual({
      code: "internal",
      message: "something broke on our side: it is in the log",
      retryable: false,
    });
    await eventually(() => {
      const lines = cluster.logs(0).filter((line) => line.includes("WRONGTYPE"));
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "error", request: "getHistory" });
    });
    await redis.del(key);
    await member.ok("getHistory", { room });
  });
});

function isNumber(value: unknown): boolean {
  return typeof value === "number";
}
