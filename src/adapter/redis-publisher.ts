import type { Redis } from "ioredis";
import { TurnWrites } from "../redis/turn-writes.ts";

type Callback = (error: Error | null | undefined, reply: unknown) => void;

/** What the stock sharded adapter asks of the client that it publishes by. */
interface AdapterPublisher {
  spublish(channel: string, payload: string | Buffer): Promise<unknown>;
  send_command(command: string, values: (string | Buffer | number)[], callback: Callback): void;
}

/**
 * The publishing client for `createShardedAdapter`, on the connection of the appends: a signal that was sent after a message
 * does not overtake it while that waits for the end of the turn.
 */
export function adapterPublisher(redis: Redis): AdapterPublisher {
  const writes = TurnWrites.of(redis);
  return {
    spublish: (channel, payload) => {
      writes.sendPutOff();
      return redis.spublish(channel, payload);
    },
    send_command: (command, values, callback) => {
      void redis.call(command, values, callback);
    },
  };
}
