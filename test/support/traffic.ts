import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Ack } from "../../src/protocol.ts";
import { connectClient, stockClient, TRANSPORTS } from "./client.ts";
import { Member } from "./member.ts";
import { stopsWithTest } from "./teardown.ts";

/** Where all of them talk. */
export const ROOM = "chat:dashboard";
export const TALKERS = 4;
/** More than `METRICS_TOP_ROOMS`, so that there are rooms without series of their own. */
const SMALL_ROOMS = 60;
const PAUSE_MS = 100;

interface Traffic {
  readonly connections: number;
  stop(): Promise<void>;
}

/** Makes a token of a user. */
type TokenOf = (user: string) => Promise<string>;

/**
 * People who talk and type in one room by every transport, and one who writes into many small ones, joins them again and reads, until `stop` or
 * the test's end; `connections` is how many they are.
 */
export async function use(urls: readonly string[], token: TokenOf): Promise<Traffic> {
  const [first = ""] = urls;
  const urlOf = (who: number) => urls[who % urls.length] ?? first;
  const kinds = Object.values(TRANSPORTS);
  const members: Member[] = [];
  for (let who = 0; who < TALKERS; who++) {
    const transports = kinds[who % kinds.length] ?? [];
    const { socket } = await connectClient(urlOf(who), await token(`u${who}`), { transports });
    members.push(new Member(socket, ROOM));
  }
  const { socket: roamer } = await connectClient(first, await token("roamer"));
  for (let index = 0; index < SMALL_ROOMS; index++) {
    const ack: Ack<"joinRoom"> = await roamer.emitWithAck("joinRoom", { room: `small:${index}` });
    expect(ack.ok).toBe(true);
  }
  let going = true;
  const work = async () => {
    for (let turn = 0; going; turn++) {
      const member = members[turn % TALKERS];
      await member?.send(`m${turn}`);
      await member?.socket.emitWithAck("sendSignal", { room: ROOM, event: "typing" });
      await roamer.emitWithAck("sendMessage", { room: `small:${turn % SMALL_ROOMS}`, data: turn });
      await roamer.emitWithAck("joinRoom", { room: `small:${turn % SMALL_ROOMS}` });
      await roamer.emitWithAck("getHistory", { room: ROOM, limit: 1 });
      await delay(PAUSE_MS);
    }
  };
  const done = work();
  const stop = async () => {
    going = false;
    await done;
  };
  stopsWithTest(stop);
  return { connections: TALKERS + 1, stop };
}

/** One request and one handshake that are refused. */
export async function misuse(url: string, token: TokenOf): Promise<void> {
  const { socket } = await connectClient(url, await token("stranger"));
  const ack: Ack<"sendMessage"> = await socket.emitWithAck("sendMessage", { room: ROOM, data: "let me in" });
  expect(ack).toMatchObject({ ok: false, error: { code: "not_in_room" } });
  socket.disconnect();
  const refused = Promise.withResolvers<{ data?: unknown }>();
  const forger = stockClient(url, "no token", { reconnection: false });
  forger.once("connect_error", refused.resolve);
  forger.connect();
  expect((await refused.promise).data).toMatchObject({ code: "unauthorized" });
}
