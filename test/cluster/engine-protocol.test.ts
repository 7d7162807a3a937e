import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "socket.io";
import { beforeAll, describe, expect, it } from "vitest";
import { startCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { type Polled, polling, RawWebSocket, upgradeAnswer } from "../support/raw-engine.ts";
import { signToken } from "../support/token.ts";

const MAX_FRAME_BYTES = 1_000_000;
/** A request whose answer shows that everything before it was dealt with. */
const SENTINEL = '4299["getMembers",{"room":"chat:1"}]';
const isSentinel = (frame: string | Buffer) => typeof frame === "string" && frame.startsWith("4399[");

/** A Socket.IO server without anything of ours: it says `welcome`, and answers every event that wants an answer. */
async function startStock(): Promise<{ url: string; stop(): Promise<void> }> {
  const http = createServer();
  const io = new Server(http, { maxHttpBufferSize: MAX_FRAME_BYTES, serveClient: false });
  io.on("connection", (socket) => {
    socket.emit("welcome", {});
    socket.onAny((_event: string, ...args: unknown[]) => {
      const ack = args.at(-1);
      if (typeof ack === "function") ack({});
    });
  });
  await new Promise<void>((resolve) => {
    http.listen(0, "127.0.0.1", resolve);
  });
  const stop = async () => {
    await io.close();
  };
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, stop };
}

/** What differs from run to run, and what an application says, is left out; its form stays. */
function normal(frame: string | Buffer): string {
  if (typeof frame !== "string") return `binary of ${frame.length}`;
  return frame
    .replaceAll(/"sid":"[\w-]{20}"/g, '"sid":"…"')
    .replace(/^(42\["welcome",).*$/s, "$1…]")
    .replace(/^(43\d+\[).*$/s, "$1…]");
}

/** One server under test, and a token that ours takes; stock servers ignore it. */
interface Side {
  readonly url: string;
  readonly connect: string;
}

/** Connected to the namespace `/` by websocket, with everything that came so far. */
async function connected({ url, connect }: Side): Promise<RawWebSocket> {
  const raw = await RawWebSocket.open(url);
  raw.send(connect);
  await eventually(() => expect(raw.frames.map(normal)).toContain('42["welcome",…]'));
  return raw;
}

/** Sends frames, and says what came of it up to an answer that shows that all of them were dealt with, or the end. */
async function send(raw: RawWebSocket, frames: readonly (string | Uint8Array)[]): Promise<string[]> {
  const from = raw.frames.length;
  for (const frame of [...frames, SENTINEL]) raw.send(frame);
  await eventually(() => expect(raw.closed || raw.frames.slice(from).some(isSentinel)).toBe(true));
  return [...raw.frames.slice(from).map(normal), ...(raw.closed ? ["closed"] : [])];
}

/** Raw frames and what must be alike. */
const CASES: Readonly<Record<string, (side: Side) => Promise<unknown>>> = {
  "the handshake by polling": async ({ url }) => {
    const { status, packets } = await polling.get(url);
    return { status, packets: packets.map(normal) };
  },
  "the handshake and the namespace by websocket": async (side) => (await connected(side)).frames.map(normal),
  "a websocket of an older protocol": async ({ url }) => {
    const answers = [
      await upgradeAnswer(url, "EIO=3&transport=websocket"),
      await upgradeAnswer(url, "transport=websocket"),
    ];
    for (const answer of answers) expect(answer).toContain("Unsupported protocol version");
    return answers;
  },
  "the namespace, an event and its answer by polling": async ({ url, connect }) => {
    const sid = await session(url);
    const said = [await polling.post(url, sid, connect)];
    // A token takes its moment to be verified: an event before that is against the protocol, and ends the session.
    const welcomed = await pollUntil(url, sid, (packet) => packet.startsWith("42["));
    said.push(await polling.post(url, sid, SENTINEL));
    return [said, welcomed, await pollUntil(url, sid, isSentinel)];
  },
  "several packets in one polling request": async ({ url, connect }) => {
    const sid = await session(url);
    const said = await polling.post(url, sid, connect, '421["leaveRoom",{}]', SENTINEL);
    return [said, await pollUntil(url, sid, isSentinel)];
  },
  "the upgrade from polling, with a request under way": async ({ url, connect }) => {
    const sid = await session(url);
    await polling.post(url, sid, connect);
    const before = await pollUntil(url, sid, (packet) => packet.startsWith("42["));
    const raw = await RawWebSocket.open(url, sid);
    raw.send("2probe");
    await eventually(() => expect(raw.frames).toEqual(["3probe"]));
    const held = polling.get(url, sid);
    raw.send("5");
    return { before, held: await held, after: await send(raw, ['421["leaveRoom",{}]']) };
  },
  "a second websocket for the same session": async ({ url, connect }) => {
    const sid = await session(url);
    await polling.post(url, sid, connect);
    const first = await RawWebSocket.open(url, sid);
    first.send("2probe");
    await eventually(() => expect(first.frames).toEqual(["3probe"]));
    first.send("5");
    await send(first, []);
    const second = await RawWebSocket.open(url, sid);
    await eventually(() => expect(second.closed).toBe(true));
    return [second.frames, await send(first, [])];
  },
  "a session that began by websocket, and goes on by another one": async (side) => {
    const first = await connected(side);
    await send(first, []);
    const { sid } = JSON.parse(String(first.frames[0]).slice(1)) as { sid: string };
    const second = await RawWebSocket.open(side.url, sid);
    second.send("2probe");
    await eventually(() => expect(second.frames).toEqual(["3probe"]));
    second.send("5");
    return await send(second, ['421["leaveRoom",{}]']);
  },
  "a namespace that is not there": async (side) => await send(await connected(side), ["40/nowhere,"]),
  "the namespace twice": async (side) => await send(await connected(side), [side.connect]),
  "an event before the namespace": async ({ url }) => {
    const raw = await RawWebSocket.open(url);
    return await send(raw, []);
  },
  "binary in an event": async (side) => {
    const placeholder = '{"_placeholder":true,"num":0}';
    return await send(await connected(side), [
      `451-7["sendSignal",{"room":"chat:1","event":"e","data":${placeholder}}]`,
      new Uint8Array([1, 2, 3]),
    ]);
  },
  "a session that is not known": async ({ url }) => await polling.get(url, "AAAAAAAAAAAAAAAAAAAA"),
  "a body that is too large, by polling": async ({ url }) => {
    const { status } = await polling.post(url, await session(url), `4${"x".repeat(MAX_FRAME_BYTES)}`);
    return status;
  },
  "a frame that is too large, by websocket": async (side) =>
    await send(await connected(side), [`42["x","${"x".repeat(MAX_FRAME_BYTES)}"]`]),
};

/** Frames that no client sends, each by itself. */
const ODD: readonly (string | Uint8Array)[] = [
  "",
  "2",
  "3",
  "4",
  "6",
  "7",
  "9",
  "x",
  "4x",
  "42",
  "42[",
  "42[]",
  "42{}",
  "42[1]",
  '42["connect"]',
  '42["disconnect"]',
  '42["newListener",1]',
  "43",
  "431[]",
  "44",
  '44{"message":"x"}',
  "45-[]",
  '451-["x",{"_placeholder":true,"num":7}]',
  '4599999999-["x"]',
  "46",
  "40",
  "40{",
  "4999",
  `42${"[".repeat(5_000)}`,
  new Uint8Array([1, 2, 3]),
];
async function session(url: string): Promise<string> {
  const { packets } = await polling.get(url);
  return (JSON.parse(packets[0]?.slice(1) ?? "{}") as { sid: string }).sid;
}

async function pollUntil(url: string, sid: string, end: (packet: string) => boolean): Promise<(string | Polled)[]> {
  const seen: string[] = [];
  while (!seen.some(end)) {
    const polled = await polling.get(url, sid);
    if (polled.status !== 200) return [...seen.map(normal), polled];
    seen.push(...polled.packets);
  }
  return seen.map(normal);
}

describe("raw frames, beside stock Socket.IO", () => {
  let ours: Side;
  let stock: Side;
  beforeAll(async () => {
    const cluster = await startCluster({ nodes: 1, env: { REDIS_URL: "memory:", RATE_LIMITS: "off" } });
    const connect = `40${JSON.stringify({ token: await signToken() })}`;
    const plain = await startStock();
    ours = { url: cluster.urls[0] ?? "", connect };
    stock = { url: plain.url, connect };
    return async () => {
      await Promise.all([cluster.stop(), plain.stop()]);
    };
  });

  for (const [title, run] of Object.entries(CASES)) {
    it(title, async () => {
      expect(await run(ours)).toEqual(await run(stock));
    });
  }

  for (const frame of ODD) {
    it(`the frame ${typeof frame === "string" ? JSON.stringify(frame.slice(0, 40)) : "of binary, without an event"}`, async () => {
      expect(await send(await connected(ours), [frame])).toEqual(await send(await connected(stock), [frame]));
    });
  }

  it("a room's messages come by the transport that the session has by then", async () => {
    const talker = await connected(ours);
    await send(talker, ['421["joinRoom",{"room":"chat:moves"}]']);
    const say = (data: string) => send(talker, [`421["sendMessage",{"room":"chat:moves","data":"${data}"}]`]);
    const heard = ({ frames }: RawWebSocket) =>
      frames.flatMap((frame) => /^42\["message",.*"data":"(\w+)"/.exec(String(frame))?.[1] ?? []);
    const first = await connected(ours);
    await send(first, ['421["joinRoom",{"room":"chat:moves"}]']);
    await say("before");
    await eventually(() => expect(heard(first)).toEqual(["before"]));
    const { sid } = JSON.parse(String(first.frames[0]).slice(1)) as { sid: string };
    const second = await RawWebSocket.open(ours.url, sid);
    second.send("2probe");
    await eventually(() => expect(second.frames).toEqual(["3probe"]));
    second.send("5");
    await eventually(() => expect(first.closed).toBe(true));
    for (const data of ["one", "two"]) await say(data);
    await eventually(() => expect(heard(second)).toEqual(["one", "two"]));
    expect(heard(first)).toEqual(["before"]);
  });
});
