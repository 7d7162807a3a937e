// The processor of broadcast.yml.
import { Gathering } from "./gathering.ts";
import { Seats } from "./seats.ts";
import { talk } from "./talk.ts";
import { type Context, type Metrics, numbersOf, ROOM_PREFIX, visit } from "./virtual-user.ts";

const seats = new Seats(ROOM_PREFIX);
const gathering = new Gathering();
/** By room: resolves when its speaker has said everything. */
const speeches = new Map<string, PromiseWithResolvers<void>>();

/** Speaks where it came first, else listens until the speaker has done, and compares what it heard with the log. */
export async function broadcast(context: Context, metrics: Metrics): Promise<void> {
  const names = ["members", "listeners", "durationSeconds", "sendEveryMs", "characters"] as const;
  const { members, listeners, durationSeconds, sendEveryMs, characters } = numbersOf(context, names);
  const { room, isFirst, taken, free } = seats.take(listeners + 1);
  const speech = speeches.get(room) ?? Promise.withResolvers<void>();
  speeches.set(room, speech);
  let came = false;
  try {
    await visit(context, metrics, room, async (member, user) => {
      await member.enter();
      came = true;
      await gathering.come(members);
      if (!isFirst) {
        await speech.promise;
        return await member.depart();
      }
      const hearers = taken();
      const speaking = { user, forMs: durationSeconds * 1_000, everyMs: sendEveryMs, characters, types: false };
      metrics.emit("counter", "load.due", hearers * (await talk(member, speaking, metrics)));
      speech.resolve();
      await member.depart();
    });
  } finally {
    if (!came) gathering.fail(members);
    if (isFirst) speech.resolve();
    free();
  }
}
