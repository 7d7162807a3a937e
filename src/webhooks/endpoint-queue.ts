import { randomUUID } from "node:crypto";
import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import type * as BullMQ from "bullmq";
import type { Job, Queue, Worker } from "bullmq";
import { type Redis, ReplyError } from "ioredis";
import type { Endpoint } from "./endpoints.ts";
import type { WebhookEvent } from "./events.ts";
import type { Added } from "./mover.ts";
import { postSigned } from "./post.ts";

/** BullMQ is loaded where there is an endpoint: it would be a fifth of what every node loads at its start. */
const load = createRequire(import.meta.url);
const bullmq = (): typeof BullMQ => load("bullmq");

/** Of the queue in BullMQ; its prefix names the endpoint. */
const QUEUE_NAME = "deliveries";
/** From try to try, in milliseconds: twice as long each time, up to the most; half of it is drawn by lot. */
const RETRY_MS = { first: 1_000, most: 3_600_000 };
/** For a delivery that was aborted to go back to the queue, in milliseconds. */
const ABORTED_MS = 500;
/** More than there are tries in the longest time that a delivery is tried: the time decides. */
const MOST_ATTEMPTS = 10_000;
/**
 * How long a node that is gone keeps a delivery, in milliseconds. Longer than a delivery may take; it is renewed in half
 * that time.
 */
const LOCK_MS = 20_000;
/** How often deliveries of nodes that are gone are looked for, in milliseconds. */
const STALLED_MS = 5_000;
/** Nodes that may die over one delivery before it is dead. */
const MOST_DEATHS = 1_000;
/** What a delivery takes in Redis beside its events, in bytes. */
const OVERHEAD_BYTES = 1_024;
/** Entries of the log of events that BullMQ keeps for whoever listens: nobody does. */
const MOST_QUEUE_EVENTS = 100;

/** One delivery: events on their way to one endpoint. */
export interface Batch {
  /** Since when it is tried, in Unix milliseconds. */
  readonly since: number;
  readonly count: number;
  /** JSON text of a list: parsing would lose what a double cannot hold. */
  readonly events: string;
}

/** What an endpoint's queue counts: these only add up. */
export interface EndpointCounts {
  delivered(endpoint: string, events: number): void;
  attemptFailed(endpoint: string): void;
  dead(endpoint: string, events: number): void;
  dropped(endpoint: string, reason: "queue_full" | "dead_full", events: number): void;
}

export interface EndpointQueueOptions {
  readonly endpoint: Endpoint;
  /** In front of the queue's keys; it holds a hash tag. */
  readonly prefix: string;
  readonly connection: Redis;
  readonly counts: EndpointCounts;
  /** Once an outage: a delivery failed; and once it is over. */
  lost(endpoint: string, error: Error): void;
  back(endpoint: string): void;
  failed(where: string, error: unknown): void;
}

/** What is under way and what is dead. */
export interface QueueState {
  readonly queued: number;
  readonly queuedBytes: number;
  readonly dead: number;
}

/**
 * The deliveries to one endpoint, in a queue of BullMQ: whichever node is free makes the next one, one node at a time, and
 * another one takes over when that node dies.
 */
export class EndpointQueue {
  readonly endpoint: Endpoint;
  readonly #options: EndpointQueueOptions;
  readonly #queue: Queue<Batch>;
  readonly #bytes: string;
  readonly #stop = new AbortController();
  #worker: Worker<Batch> | undefined;
  #isLost = false;

  constructor(options: EndpointQueueOptions) {
    const { endpoint, prefix, connection, failed } = options;
    this.endpoint = endpoint;
    this.#options = options;
    this.#bytes = `${prefix}:bytes`;
    const streams = { events: { maxLen: MOST_QUEUE_EVENTS } };
    this.#queue = new (bullmq().Queue)(QUEUE_NAME, { connection, prefix, streams });
    this.#queue.on("error", (error) => failed("a webhook queue failed", error));
  }

  /** This node makes deliveries from now on. */
  start(): void {
    const { endpoint, prefix, connection, failed } = this.#options;
    const worker = new (bullmq().Worker)<Batch>(QUEUE_NAME, (job) => this.#deliver(job), {
      connection,
      prefix,
      concurrency: endpoint.parallel,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_MS,
      maxStalledCount: MOST_DEATHS,
      settings: { backoffStrategy: (attempt, _type, _error, job) => this.#waitMs(attempt, job?.data.since) },
    });
    worker.on("error", (error) => failed("a webhook worker failed", error));
    worker.on("completed", (job) => this.#settle(this.#completed(job.data)));
    worker.on("failed", (job) => {
      if (job?.finishedOn !== undefined) this.#settle(this.#died(job.data));
    });
    this.#worker = worker;
  }

  /** Adds the events in their order, batch by batch, up to the first that is refused; never rejects. */
  async add(events: readonly WebhookEvent[]): Promise<Added> {
    let dealtWith = 0;
    for (const batch of this.#batches(events)) {
      const json = `[${batch.map(({ json }) => json).join(",")}]`;
      try {
        await this.#addBatch({ since: Date.now(), count: batch.length, events: json });
      } catch (error) {
        return { kind: "refused", events: dealtWith, error };
      }
      dealtWith += batch.length;
    }
    return { kind: "added" };
  }

  async #addBatch(data: Batch): Promise<void> {
    if (!(await this.#reserve(data))) return;
    const jobId = `msg_${randomUUID()}`;
    try {
      await this.#queue.add("events", data, {
        ...{ attempts: MOST_ATTEMPTS, backoff: { type: "custom" }, removeOnComplete: true, stackTraceLimit: 1 },
        jobId,
      });
    } catch (error) {
      // It is tried again: counted at each try, what never came in would fill the queue. A script that was refused halfway
      // leaves the job's hash; without an answer from Redis nobody knows whether it is queued.
      await this.#options.connection.decrby(this.#bytes, bytesOf(data));
      if (error instanceof ReplyError) await this.#options.connection.unlink(this.#queue.toKey(jobId));
      throw error;
    }
  }

  async state(): Promise<QueueState> {
    const counts = await this.#queue.getJobCounts("wait", "active", "delayed", "failed");
    const { wait = 0, active = 0, delayed = 0, failed = 0 } = counts;
    const queued = wait + active + delayed;
    // A node that died between a delivery and its being counted left its bytes: they go when the queue is empty.
    if (queued === 0) await this.#options.connection.del(this.#bytes);
    const queuedBytes = Math.max(0, Number((await this.#options.connection.get(this.#bytes)) ?? 0));
    return { queued, queuedBytes, dead: failed };
  }

  /** The ids of dead deliveries with the moments of their deaths (Unix milliseconds), the oldest first. */
  async deadIds(): Promise<readonly { readonly id: string; readonly at: number }[]> {
    const list = await this.#options.connection.zrange(this.#queue.toKey("failed"), 0, "-1", "WITHSCORES");
    const found: { id: string; at: number }[] = [];
    for (let index = 0; index < list.length; index += 2) {
      found.push({ id: list[index] ?? "", at: Number(list[index + 1]) });
    }
    return found;
  }

  /** A delivery, if it is dead. */
  async findDead(id: string): Promise<Job<Batch> | undefined> {
    const score = await this.#options.connection.zscore(this.#queue.toKey("failed"), id);
    return score === null ? undefined : ((await this.#queue.getJob(id)) ?? undefined);
  }

  /** Tries a dead delivery again, as if it were new; false where it is not dead. */
  async replay(id: string): Promise<boolean> {
    const job = await this.findDead(id);
    if (job === undefined) return false;
    await job.updateData({ ...job.data, since: Date.now() });
    try {
      await job.retry("failed", { resetAttemptsMade: true });
    } catch (error) {
      // Somebody else was asked the same a moment ago.
      if ((await this.findDead(id)) === undefined) return false;
      throw error;
    }
    await this.#options.connection.incrby(this.#bytes, bytesOf(job.data));
    return true;
  }

  /** Lets deliveries that are under way end, for so long; what is not made then is tried again by another node. */
  async close(withinMs: number): Promise<void> {
    const cut = setTimeout(() => this.#stop.abort(), withinMs);
    const closed = Promise.all([this.#worker?.close(), this.#queue.close()]);
    // Where Redis is away it would never end.
    const isClosed = await Promise.race([closed.then(() => true), delay(withinMs + ABORTED_MS, false, { ref: false })]);
    clearTimeout(cut);
    if (!isClosed) this.#worker?.disconnect().catch(() => undefined);
  }

  async #deliver(job: Job<Batch>): Promise<void> {
    const { counts, lost, back } = this.#options;
    const { name, retryMs } = this.endpoint;
    const { since, count, events } = job.data;
    const timestamp = new Date(since).toISOString();
    const body = `{"type":"events","timestamp":"${timestamp}","data":{"events":${events}}}`;
    try {
      await postSigned(this.endpoint, String(job.id), body, this.#stop.signal);
    } catch (error) {
      const failure = error instanceof Error ? error : new Error(String(error));
      // Another node makes it at once: that is no word on the endpoint.
      if (this.#stop.signal.aborted) throw failure;
      counts.attemptFailed(name);
      if (!this.#isLost) lost(name, failure);
      this.#isLost = true;
      throw Date.now() - since >= retryMs ? new (bullmq().UnrecoverableError)(failure.message) : failure;
    }
    counts.delivered(name, count);
    if (this.#isLost) back(name);
    this.#isLost = false;
  }

  /** Whether the batch still fits; where it does not, it is dropped. */
  async #reserve(batch: Batch): Promise<boolean> {
    const { connection, counts } = this.#options;
    const { name, maxQueuedBytes } = this.endpoint;
    if ((await connection.incrby(this.#bytes, bytesOf(batch))) <= maxQueuedBytes) return true;
    await connection.decrby(this.#bytes, bytesOf(batch));
    counts.dropped(name, "queue_full", batch.count);
    return false;
  }

  /** Grows, and is different for each; the last try is at the end of the time. */
  #waitMs(attempt: number, since = 0): number {
    const most = Math.min(RETRY_MS.first * 2 ** Math.min(attempt - 1, 30), RETRY_MS.most);
    const leftMs = since + this.endpoint.retryMs - Date.now();
    return Math.max(1, Math.min(Math.ceil(most * (0.5 + Math.random() / 2)), leftMs));
  }

  async #completed(batch: Batch): Promise<void> {
    await this.#options.connection.decrby(this.#bytes, bytesOf(batch));
  }

  async #died(batch: Batch): Promise<void> {
    const { connection, counts } = this.#options;
    const { name, maxDead } = this.endpoint;
    counts.dead(name, batch.count);
    await connection.decrby(this.#bytes, bytesOf(batch));
    const dead = await this.deadIds();
    for (const { id } of dead.slice(0, Math.max(0, dead.length - maxDead))) {
      const oldest = await this.#queue.getJob(id);
      // Several may be at the same: who takes it off the list counts it.
      if (oldest === undefined || (await connection.zrem(this.#queue.toKey("failed"), id)) === 0) continue;
      await oldest.remove();
      counts.dropped(name, "dead_full", oldest.data.count);
    }
  }

  #settle(work: Promise<void>): void {
    work.catch((error: unknown) => this.#options.failed("a webhook queue failed", error));
  }

  *#batches(events: readonly WebhookEvent[]): Iterable<readonly WebhookEvent[]> {
    const { maxBatchEvents, maxBatchBytes } = this.endpoint;
    let batch: WebhookEvent[] = [];
    let bytes = 0;
    for (const event of events) {
      const more = Buffer.byteLength(event.json);
      if (batch.length === maxBatchEvents || (batch.length > 0 && bytes + more > maxBatchBytes)) {
        yield batch;
        [batch, bytes] = [[], 0];
      }
      batch.push(event);
      bytes += more;
    }
    if (batch.length > 0) yield batch;
  }
}

function bytesOf({ events }: Batch): number {
  return Buffer.byteLength(events) + OVERHEAD_BYTES;
}
