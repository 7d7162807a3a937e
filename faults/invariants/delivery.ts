import type { ClientRecord, Entry, Observations, SentMessage, Violation } from "../observations.ts";
import { streamsOf } from "./runs.ts";

/** An acknowledged message and a member that was there for it, for every such pair. */
export interface Delivery {
  readonly arrived: number;
  /** Did not arrive, and the member was told that its stream is not continued. */
  readonly told: number;
  readonly missing: number;
  readonly violations: readonly Violation[];
}

/** Every acknowledged message reaches everybody who was in its room from before it was sent until after it was acknowledged. */
export function countDeliveries(observed: Observations, mayBeTold = true): Delivery {
  let [arrived, told, missing] = [0, 0, 0];
  const violations: Violation[] = [];
  for (const client of observed.clients) {
    for (const room of client.rooms) {
      const count = countFor(observed, client, room, mayBeTold);
      arrived += count.arrived;
      told += count.told;
      missing += count.missing.length;
      const first = count.missing[0];
      if (first === undefined) continue;
      const others = count.missing.length > 1 ? ` and ${count.missing.length - 1} more` : "";
      const text = `${first.id} (acknowledged as ${first.acked?.seq})${others} never came`;
      violations.push({ rule: "not delivered", at: first.firstAt, text, client: client.name, room });
    }
  }
  return { arrived, told, missing, violations };
}

/** What came, by whichever way, in its order. */
function arrivalsIn({ seen }: ClientRecord, room: string): Entry[] {
  return seen.flatMap((each) => {
    if (!("room" in each) || each.room !== room) return [];
    if (each.kind === "message") return [each.entry];
    return each.kind === "joined" ? each.messages : [];
  });
}

/** Where messages have no numbers: none came twice, and none of one sender came after a later one of the same. */
export function checkArrivals({ clients, sent }: Observations): Violation[] {
  const places = new Map(sent.map(({ id, client }, place) => [id, { client, place }]));
  return clients.flatMap((client) =>
    client.rooms.flatMap((room) => {
      const violations: Violation[] = [];
      const seen = new Set<string>();
      const furthest = new Map<string, number>();
      for (const { id } of arrivalsIn(client, room)) {
        const { client: sender = "", place = 0 } = places.get(id) ?? {};
        const wrong = (rule: "doubled" | "out of order") =>
          violations.push({ rule, at: 0, text: `${id} of ${sender}`, client: client.name, room });
        if (seen.has(id)) wrong("doubled");
        else if (place < (furthest.get(sender) ?? 0)) wrong("out of order");
        seen.add(id);
        furthest.set(sender, Math.max(place, furthest.get(sender) ?? 0));
      }
      return violations;
    }),
  );
}

function countFor(observed: Observations, client: ClientRecord, room: string, mayBeTold: boolean) {
  const count = { arrived: 0, told: 0, missing: [] as SentMessage[] };
  const { toldAt } = streamsOf(client, room);
  const joinedAt = client.seen.find((seen) => seen.kind === "joined" && seen.room === room)?.at;
  if (joinedAt === undefined) return count;
  const ids = new Set(arrivalsIn(client, room).map(({ id }) => id));
  for (const message of observed.sent) {
    const { acked, firstAt, id } = message;
    if (message.room !== room || acked === undefined || firstAt < joinedAt) continue;
    if (client.departed !== undefined && acked.at >= client.departed.at) continue;
    if (ids.has(id)) count.arrived += 1;
    // Whoever was about to go may have gone without it; a hole before that is the stream's to find.
    else if (client.departed !== undefined) continue;
    else if (mayBeTold && toldAt.some((at) => at >= firstAt)) count.told += 1;
    else count.missing.push(message);
  }
  return count;
}
