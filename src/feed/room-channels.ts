import type { Entry } from "../log/room-log.ts";
import type { PresenceChange } from "../presence/presence.ts";

/** Who hears a room's channel. Called in the order of the channel, one at a time. */
export interface ChannelListener {
  /** A log entry was published. */
  entry(entry: Entry): void;
  /** A presence change was published. */
  presence(change: PresenceChange): void;
  /** Something of the stock adapter's was published to the room: a signal, or an application's own emit. */
  broadcast(): void;
  /** The subscription was lost and lives again: whatever was published meanwhile was not heard. */
  resumed(): void;
}

/**
 * The rooms' channels as feeds see them: at most once, in order, one listener a room.
 * `open` resolves once the subscription is confirmed: everything published after that is heard, until the subscription
 * is lost, which ends in `resumed`. It rejects with `unavailable`; then the room is not open.
 */
export interface RoomChannels {
  open(room: string, listener: ChannelListener): Promise<void>;
  /** Ends the listening at once; the subscription may live on where others need it. */
  close(room: string): void;
}
