// The processor of chat.yml. `.mts`, because artillery loads that as it is, and would bundle a `.ts` into a file beside it.
import { Seats } from "./seats.ts";
import { talk } from "./talk.ts";
import { type Context, type Metrics, numbersOf, ROOM_PREFIX, visit } from "./virtual-user.ts";

const seats = new Seats(ROOM_PREFIX);

/** Joins a room, talks and types for its stay, compares itself with the log and the members, and leaves. */
export async function chat(context: Context, metrics: Metrics): Promise<void> {
  const names = ["roomSize", "staySeconds", "sendEveryMs", "characters"] as const;
  const { roomSize, staySeconds, sendEveryMs, characters } = numbersOf(context, names);
  const { room, free } = seats.take(roomSize);
  try {
    await visit(context, metrics, room, async (member, user) => {
      await member.enter();
      await talk(member, { user, forMs: staySeconds * 1_000, everyMs: sendEveryMs, characters, types: true }, metrics);
      await member.depart();
    });
  } finally {
    free();
  }
}
