import { setTimeout as delay, setImmediate as nextTurn } from "node:timers/promises";
import type { Redis } from "ioredis";
import { RoomcastError } from "../errors.ts";
import type { ChannelListener, RoomChannels } from "../feed/room-channels.ts";
import { decode } from "../log/envelope.ts";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { TurnWrites } from "../redis/turn-writes.ts";

/** Most channels in one SSUBSCRIBE and before other work of the loop has its turn. */
const CHANNELS_PER_CALL = 500;

/** Before a subscription that Redis refused is tried again, in milliseconds. */
const RETRY_MS = 250;

type Raw = (channel: Buffer, message: Buffer) => void;

/** One channel, for as long as anybody wants it: the room's feed, the stock adapter, or both. */
interface Channel {
  readonly name: string;
  listener: ChannelListener | undefined;
  stock: boolean;
  raw: ((message: Buffer) => void) | undefined;
  /** Settles with the confirmation of the last SSUBSCRIBE that was sent for this channel; undefined where that failed. */
  confirmed: Promise<void> | undefined;
}

/** What the stock sharded adapter uses of its subscribing client. */
export interface AdapterSubscriber {
  ssubscribe(channel: string): Promise<void>;
  sunsubscribe(channels: string | string[]): void;
  on(event: "smessageBuffer", listener: Raw): void;
}

/**
 * The rooms' channels over one Redis connection, shared by feeds and the stock adapter: log entries and presence go to
 * the feed, everything else to the adapter. It subscribes anew by itself after a reconnect (ioredis' own way swallows
 * failures), and says `resumed` only once Redis has confirmed.
 */
export class RedisChannels implements RoomChannels {
  readonly #redis: Redis;
  readonly #keys: Keys;
  readonly #failed: (error: unknown) => void;
  readonly #channels = new Map<string, Channel>();
  #stockListener: Raw | undefined;
  /** What this turn of the event loop wants: it is subscribed to by one call, for a storm of joins wants many. */
  #gathering: { readonly channels: Channel[]; readonly confirmed: Promise<void> } | undefined;
  /** Counts the connections that were made. */
  #connections = 0;

  /** `redis` is a connection of its own, with `autoResubscribe` and the offline queue off. */
  constructor(redis: Redis, keys: Keys, failed: (error: unknown) => void) {
    this.#redis = redis;
    this.#keys = keys;
    this.#failed = failed;
    redis.on("smessageBuffer", (name: Buffer, message: Buffer) => this.#hear(name, message));
    redis.on("ready", () => {
      this.#resume().catch(failed);
    });
  }

  /** Channels that anybody wants. */
  get size(): number {
    return this.#channels.size;
  }

  async open(room: string, listener: ChannelListener): Promise<void> {
    const channel = this.#want(this.#keys.channel(room));
    channel.listener = listener;
    try {
      await this.#confirmed(channel);
    } catch (error) {
      throw new RoomcastError("unavailable", undefined, { cause: error });
    }
  }

  close(room: string): void {
    const channel = this.#channels.get(this.#keys.channel(room));
    if (channel === undefined) return;
    channel.listener = undefined;
    this.#dropUnwanted(channel);
  }

  /** Listens to a channel that belongs to no room. Resolves with the confirmation; rejects with `unavailable`. */
  async hearRaw(name: string, listener: (message: Buffer) => void): Promise<void> {
    const channel = this.#want(name);
    channel.raw = listener;
    try {
      await this.#confirmed(channel);
    } catch (error) {
      throw storeFailure(error);
    }
  }

  /** The subscribing client for `createShardedAdapter`: it shares the channels with the feeds. */
  adapterSubscriber(): AdapterSubscriber {
    return {
      ssubscribe: (name) => {
        const channel = this.#want(name);
        channel.stock = true;
        // The adapter never looks at the promise, and a rejection would end the process. Without a connection the
        // channel is subscribed on `ready`.
        return this.#confirmed(channel).catch(() => undefined);
      },
      sunsubscribe: (names) => {
        for (const name of Array.isArray(names) ? names : [names]) {
          const channel = this.#channels.get(name);
          if (channel === undefined) continue;
          channel.stock = false;
          this.#dropUnwanted(channel);
        }
      },
      on: (_event, listener) => {
        this.#stockListener = listener;
      },
    };
  }

  #want(name: string): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = { name, listener: undefined, stock: false, raw: undefined, confirmed: undefined };
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #confirmed(channel: Channel): Promise<void> {
    if (channel.confirmed !== undefined) return channel.confirmed;
    this.#gathering ??= this.#gather();
    const { channels, confirmed } = this.#gathering;
    channels.push(channel);
    if (channels.length === CHANNELS_PER_CALL) this.#gathering = undefined;
    channel.confirmed = confirmed;
    return confirmed;
  }

  #dropUnwanted(channel: Channel): void {
    if (channel.stock || channel.listener !== undefined || channel.raw !== undefined) return;
    this.#channels.delete(channel.name);
    if (this.#redis.status !== "ready") return;
    TurnWrites.of(this.#redis).join();
    this.#redis.sunsubscribe(channel.name).catch(this.#failed);
  }

  #gather(): { channels: Channel[]; confirmed: Promise<void> } {
    const channels: Channel[] = [];
    const confirmed = nextTurn().then(async () => {
      if (this.#gathering?.channels === channels) this.#gathering = undefined;
      // A channel that was dropped meanwhile was unsubscribed from before this.
      const wanted = channels.filter((channel) => this.#channels.get(channel.name) === channel);
      if (wanted.length > 0) await this.#redis.ssubscribe(...wanted.map(({ name }) => name));
    });
    forgetWhereFailed(channels, confirmed);
    return { channels, confirmed };
  }

  #subscribe(channels: readonly Channel[]): Promise<void> {
    const confirmed = this.#redis.ssubscribe(...channels.map(({ name }) => name)).then(() => undefined);
    for (const channel of channels) channel.confirmed = confirmed;
    forgetWhereFailed(channels, confirmed);
    return confirmed;
  }

  async #resume(): Promise<void> {
    this.#connections += 1;
    const connection = this.#connections;
    const wanted = [...this.#channels.values()];
    for (let start = 0; start < wanted.length; start += CHANNELS_PER_CALL) {
      await this.#resumeSome(wanted.slice(start, start + CHANNELS_PER_CALL), connection);
    }
  }

  /** Until Redis confirms, or there is another connection: what is left out is deaf, and nothing shows it. */
  async #resumeSome(channels: readonly Channel[], connection: number): Promise<void> {
    while (connection === this.#connections && this.#redis.status === "ready") {
      const chunk = channels.filter(({ name }) => this.#channels.has(name));
      if (chunk.length === 0) return;
      try {
        await this.#subscribe(chunk);
        for (const channel of chunk) channel.listener?.resumed();
        return;
      } catch (error) {
        this.#failed(error);
        await delay(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  #hear(name: Buffer, message: Buffer): void {
    const channel = this.#channels.get(name.toString());
    if (channel === undefined) return;
    if (channel.raw !== undefined) {
      channel.raw(message);
      return;
    }
    const heard = decode(message);
    if (heard.kind === "entry") channel.listener?.entry(heard.entry);
    else if (heard.kind === "presence") channel.listener?.presence(heard.change);
    else if (channel.stock) {
      channel.listener?.broadcast();
      this.#stockListener?.(name, message);
    }
  }
}

/** The next one who needs a channel, or the next connection, tries again. */
function forgetWhereFailed(channels: readonly Channel[], confirmed: Promise<void>): void {
  confirmed.catch(() => {
    for (const channel of channels) if (channel.confirmed === confirmed) channel.confirmed = undefined;
  });
}
