import type { Ack, Message, ServerEvents } from "../../src/protocol.ts";
import type { Witness } from "./witness.ts";

/**
 * What a witness saw of a room that breaks the word of G2 and G3: a message while it was out of the room or before the
 * ack of its join, twice, out of order, or after a hole. Empty where all is well.
 */
export function brokenStream({ seen }: Witness, room: string): string[] {
  const broken: string[] = [];
  let due: number | undefined;
  const take = ({ seq }: Message) => {
    if (due === undefined) broken.push(`message ${seq} while out of the room`);
    else if (seq !== due) broken.push(`message ${seq} where ${due} was due`);
    due = due === undefined ? undefined : seq + 1;
  };
  for (const { name, payload } of seen) {
    if (name === "message" && (payload as Message).room === room) take(payload as Message);
    if (name === "resync" && (payload as ServerEvents["resync"]).room === room) due = undefined;
    if (name === "ack leaveRoom" && (payload as Ack<"leaveRoom">).ok) due = undefined;
    if (name !== "ack joinRoom") continue;
    const ack = payload as Ack<"joinRoom">;
    if (!ack.ok) {
      if (ack.error.code !== "superseded") due = undefined;
    } else if (ack.room === room) {
      const first = ack.messages[0];
      if (ack.recovered) {
        due = first?.seq ?? ack.position.seq + 1;
        for (const message of ack.messages) take(message);
      }
      if (ack.recovered && due !== ack.position.seq + 1)
        broken.push(`position ${ack.position.seq}, messages to ${due}`);
      due = ack.position.seq + 1;
    }
  }
  return broken;
}

/** The numbers of all messages of a room that a witness was given, by acks with `recovered` and as events. */
export function seqsOf({ seen }: Witness, room: string): number[] {
  return seen.flatMap(({ name, payload }) => {
    if (name === "message") return (payload as Message).room === room ? [(payload as Message).seq] : [];
    const ack = payload as Ack<"joinRoom">;
    if (name !== "ack joinRoom" || !ack.ok || ack.room !== room || !ack.recovered) return [];
    return ack.messages.map(({ seq }) => seq);
  });
}

/** Sends one message after the other until it is stopped; resolves with how many were acknowledged. */
export function talk(talker: Witness, room: string): { stop(): Promise<number> } {
  let talking = true;
  const done = (async () => {
    let count = 0;
    for (; talking; count++) await talker.ok("sendMessage", { room, data: count });
    return count;
  })();
  return {
    stop: () => {
      talking = false;
      return done;
    },
  };
}
