// The processor of presence-storm.yml.
import { setTimeout as delay } from "node:timers/promises";
import { Seats } from "./seats.ts";
import { type Context, type Metrics, numbersOf, ROOM_PREFIX, visit } from "./virtual-user.ts";

/** The share of visits that come by a connection of their own. */
const NEW_CONNECTIONS = 0.25;

const seats = new Seats(ROOM_PREFIX);

/** Comes and goes for its time. At the end of each visit, who it takes for present is compared with the members. */
export async function presenceStorm(context: Context, metrics: Metrics): Promise<void> {
  const names = ["roomSize", "durationSeconds", "visitMs"] as const;
  const { roomSize, durationSeconds, visitMs } = numbersOf(context, names);
  const { room, free } = seats.take(roomSize);
  const until = performance.now() + durationSeconds * 1_000;
  try {
    await visit(context, metrics, room, async (member) => {
      do {
        await member.enter();
        await delay((0.5 + Math.random()) * visitMs);
        await member.depart();
        if (Math.random() < NEW_CONNECTIONS) member.disconnect();
      } while (performance.now() < until);
    });
  } finally {
    free();
  }
}
