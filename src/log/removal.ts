import type { Message, ServerEvents } from "../protocol.ts";
import type { Draft, Entry } from "./room-log.ts";

/** What makes an entry a removal. It stands before every field that somebody else fills. */
const MARK = '"removes":';
/** `{"seq":` and `,"ts":` with 15 digits each, a comma, and the mark. */
const MARK_WITHIN = 60;

/** The text of a removal's payload after `seq` and `ts`: see `Draft`. A message in form, for whoever only knows those. */
export function removalRest(room: string, seq: number): Draft["rest"] {
  const id = JSON.stringify(`removes ${seq}`);
  return `${MARK}${seq},"room":${JSON.stringify(room)},"id":${id},"from":{"id":"server"},"event":"messageRemoved","data":null}`;
}

/** What is read in the place of a message that was taken back: all but its data. */
export function tombstoneOf({ seq, ts, room, id, from, event }: Message): string {
  return JSON.stringify({ seq, ts, room, id, from, event, data: null, removed: true } satisfies Message);
}

/** What members are told where the entry is a removal; undefined where it is a message. Called for every entry. */
export function removalOf({ seq, ts, body }: Entry): ServerEvents["messageRemoved"] | undefined {
  if (!body.toString("latin1", 0, MARK_WITHIN).includes(MARK)) return undefined;
  const { room, removes } = JSON.parse(body.toString()) as Message;
  // The data of a message may begin that early and hold the mark; none of them has the field itself.
  return removes === undefined ? undefined : { room, seq: removes, at: { seq, ts } };
}
