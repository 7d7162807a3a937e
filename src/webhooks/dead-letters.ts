import { RoomcastError } from "../errors.ts";
import type { DeadDelivery, DeadPage } from "../payloads.ts";
import { BOUNDS } from "../protocol.ts";
import type { EndpointQueue } from "./endpoint-queue.ts";

/** Deliveries that were tried for their whole time in vain, as `/v1` shows them. */
export interface DeadLetters {
  /** The oldest first, endpoint by endpoint. Rejects with `unavailable`. */
  list(cursor: string | undefined, limit: number): Promise<DeadPage>;
  /** Tries one again, as if it were new; false where it is not there. Rejects with `unavailable`. */
  replay(id: string): Promise<boolean>;
}

/** Without webhooks. */
export const NO_DEAD_LETTERS: DeadLetters = {
  list: () => Promise.resolve({ deliveries: [] }),
  replay: () => Promise.resolve(false),
};

/** A place in the list: behind this delivery, which need not be there any more. */
interface Place {
  readonly endpoint: number;
  readonly at: number;
  readonly id: string;
}

type DeadQueue = Pick<EndpointQueue, "endpoint" | "deadIds" | "findDead" | "replay">;

export class QueuedDeadLetters implements DeadLetters {
  readonly #queues: readonly DeadQueue[];
  readonly #failure: (error: unknown) => Error;

  /** `failure`: what to throw for an error of the queue. */
  constructor(queues: readonly DeadQueue[], failure: (error: unknown) => Error) {
    this.#queues = queues;
    this.#failure = failure;
  }

  async list(cursor: string | undefined, limit: number): Promise<DeadPage> {
    try {
      const from = cursor === undefined ? { endpoint: 0, at: 0, id: "" } : readCursor(cursor);
      const places = (
        await Promise.all(
          this.#queues.slice(from.endpoint).map(async (queue, index) => {
            const endpoint = from.endpoint + index;
            const ids = await queue.deadIds();
            return ids.map((one) => ({ endpoint, ...one })).filter((one) => isBehind(one, from));
          }),
        )
      ).flat();
      return await this.#page(places, limit);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async replay(id: string): Promise<boolean> {
    try {
      for (const queue of this.#queues) if (await queue.replay(id)) return true;
      return false;
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** One after the other: a page of the largest deliveries would be more than a node's memory. At least one, where there is one. */
  async #page(places: readonly Place[], limit: number): Promise<DeadPage> {
    const deliveries: DeadDelivery[] = [];
    let bytes = 0;
    for (const [index, place] of places.entries()) {
      const last = places[index - 1];
      if (last !== undefined && (index === limit || bytes >= BOUNDS.pageBytes)) {
        return { deliveries, cursor: writeCursor(last) };
      }
      const delivery = await this.#show(place);
      if (delivery === undefined) continue;
      deliveries.push(delivery);
      bytes += JSON.stringify(delivery.events).length;
    }
    return { deliveries };
  }

  async #show({ endpoint, id, at }: Place): Promise<DeadDelivery | undefined> {
    const queue = this.#queues[endpoint];
    const job = await queue?.findDead(id);
    if (queue === undefined || job === undefined) return undefined;
    return {
      id,
      endpoint: queue.endpoint.name,
      since: job.data.since,
      diedAt: at,
      attempts: job.attemptsMade,
      error: job.failedReason ?? "",
      events: JSON.parse(job.data.events) as DeadDelivery["events"],
    };
  }
}

function isBehind(one: Place, from: Place): boolean {
  if (one.endpoint !== from.endpoint) return one.endpoint > from.endpoint;
  return one.at > from.at || (one.at === from.at && one.id > from.id);
}

function writeCursor({ endpoint, at, id }: Place): string {
  return `${endpoint}.${at}.${id}`;
}

/** Throws `bad_request` for one that is not ours. */
function readCursor(cursor: string): Place {
  const [, endpoint, at, id] = /^(\d{1,2})\.(\d{1,15})\.([\w-]{1,64})$/.exec(cursor) ?? [];
  if (id === undefined) throw new RoomcastError("bad_request", "cursor must be one that this call answered");
  return { endpoint: Number(endpoint), at: Number(at), id };
}
