// The processor of reconnect-storm.yml.
import { setTimeout as delay } from "node:timers/promises";
import { Gathering } from "./gathering.ts";
import type { Member } from "./member.ts";
import { Seats } from "./seats.ts";
import { talk } from "./talk.ts";
import { type Context, type Metrics, numbersOf, ROOM_PREFIX, visit } from "./virtual-user.ts";

const seats = new Seats(ROOM_PREFIX);
const gathering = new Gathering();

/** Talks, and loses its connection in the same moments as everybody; the stock client comes back as it always does. */
export async function reconnectStorm(context: Context, metrics: Metrics): Promise<void> {
  const names = ["members", "roomSize", "storms", "everySeconds", "sendEveryMs", "characters"] as const;
  const { members, roomSize, storms, everySeconds, sendEveryMs, characters } = numbersOf(context, names);
  const { room, free } = seats.take(roomSize);
  let came = false;
  try {
    await visit(context, metrics, room, async (member, user) => {
      await member.enter();
      came = true;
      await gathering.come(members);
      const forMs = (storms + 1) * everySeconds * 1_000;
      const speech = { user, forMs, everyMs: sendEveryMs, characters, types: false };
      await Promise.all([loseConnections(member, storms, everySeconds * 1_000), talk(member, speech, metrics)]);
      await member.depart();
    });
  } finally {
    if (!came) gathering.fail(members);
    free();
  }
}

async function loseConnections(member: Member, times: number, everyMs: number): Promise<void> {
  const start = performance.now();
  for (let storm = 1; storm <= times; storm++) {
    await delay(start + storm * everyMs - performance.now());
    member.cut();
  }
}
