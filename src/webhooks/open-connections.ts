import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { RoomcastError } from "../errors.ts";
import { storeFailure } from "../redis/failure.ts";
import type { Keys } from "../redis/keys.ts";
import { readScript, ScriptRunner } from "../redis/script.ts";
import { nodeRoom } from "./events.ts";
import type { RedisOutbox } from "./outbox.ts";

const OPEN_CONNECTION = readScript(new URL("./scripts/open_connection.lua", import.meta.url));
const CLOSE_CONNECTIONS = readScript(new URL("./scripts/close_connections.lua", import.meta.url));

/** How long a node's connections are remembered where no node is left to tend them, in milliseconds. */
const NOTE_LIFE_MS = 7 * 24 * 60 * 60 * 1_000;
/** Between tries while Redis is away, in milliseconds. */
const RETRY_MS = { first: 100, most: 2_000 };
/** Connections that are taken back, or told of again, in one step. */
const SLICE = 200;
/** Comings and goings that may wait for Redis; past it they are dropped, and counted. */
const MOST_WAITING = 20_000;
const NODE_LOST = JSON.stringify("node lost");

/** A connection as the endpoints are told of it. */
export interface ConnectionNote {
  readonly connection: string;
  readonly user: { readonly id: string; readonly name?: string };
  readonly node: string;
}

interface Noted {
  readonly about: string;
  /** Under which life of this node it is noted. */
  incarnation: string;
  /** What was asked for before has come to its end. */
  settled: Promise<void>;
}

export interface OpenConnectionsOptions {
  readonly commands: Redis;
  readonly keys: Keys;
  readonly outbox: RedisOutbox;
  readonly incarnation: { readonly current: string };
  /** An event that could not wait for Redis any more. */
  dropped(): void;
  /** Redis refuses for another reason than being away; it is tried again and again. */
  failed(where: string, error: unknown): void;
}

/**
 * Which connections were told of as open, for each life of a node, so that whoever clears up after a dead node can tell
 * that they are closed. Each is told once; one that closes is told after its opening was.
 */
export class OpenConnections {
  readonly #options: OpenConnectionsOptions;
  readonly #scripts: ScriptRunner;
  readonly #noted = new Map<string, Noted>();
  #waiting = 0;
  #closed = false;

  constructor(options: OpenConnectionsOptions) {
    this.#options = options;
    this.#scripts = new ScriptRunner(options.commands, [OPEN_CONNECTION, CLOSE_CONNECTIONS]);
  }

  opened(note: ConnectionNote): void {
    const noted: Noted = {
      about: JSON.stringify(note),
      incarnation: this.#options.incarnation.current,
      settled: Promise.resolve(),
    };
    this.#noted.set(note.connection, noted);
    this.#then(noted, () => this.#open(note.connection, noted, "opened"));
  }

  closed(connection: string, reason: string): void {
    const noted = this.#noted.get(connection);
    if (noted === undefined) return;
    this.#noted.delete(connection);
    this.#then(noted, async () => {
      await this.#close(noted.incarnation, JSON.stringify(reason), connection);
    });
  }

  /**
   * This node goes on under a new incarnation. `announced`: others took its connections for closed, and tell so; they are
   * told of again. Otherwise the store may have lost them, and nobody is told anything.
   */
  async renewed(announced: boolean): Promise<void> {
    const all = [...this.#noted];
    for (let start = 0; start < all.length; start += SLICE) {
      const slice = all.slice(start, start + SLICE);
      for (const [connection, noted] of slice) this.#follow(noted, () => this.#renew(connection, noted, announced));
      await Promise.all(slice.map(([, { settled }]) => settled));
    }
  }

  /**
   * Whether the node of this incarnation has nothing left that is to be told. Where it is gone, all of it is told, as far as
   * the outbox has room.
   */
  async tend(incarnation: string): Promise<boolean> {
    const { commands, keys } = this.#options;
    const key = this.#key(incarnation);
    try {
      if ((await commands.zscore(keys.gone(), incarnation)) === null) {
        await commands.pexpire(key, NOTE_LIFE_MS);
        return (await commands.hlen(key)) === 0;
      }
    } catch (error) {
      throw storeFailure(error);
    }
    let before = Number.POSITIVE_INFINITY;
    let left = before;
    do {
      before = left;
      left = await this.#close(incarnation, NODE_LOST, undefined);
    } while (left > 0 && left < before);
    return left === 0;
  }

  /** Waits until all that closed was told, for so long. */
  async close(withinMs: number): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (this.#waiting > 0 && performance.now() < deadline) await delay(RETRY_MS.first);
    this.#closed = true;
  }

  async #renew(connection: string, noted: Noted, announced: boolean): Promise<void> {
    // Closed meanwhile, under the life that it was opened in.
    if (this.#noted.get(connection) !== noted) return;
    const before = noted.incarnation;
    const { current } = this.#options.incarnation;
    if (before === current) return;
    if (announced) await this.#close(before, NODE_LOST, connection);
    await this.#open(connection, { ...noted, incarnation: current }, announced ? "opened" : "");
    if (!announced) await this.#options.commands.hdel(this.#key(before), connection).catch(rethrow);
    noted.incarnation = current;
  }

  async #open(connection: string, { about, incarnation }: Noted, event: "opened" | ""): Promise<void> {
    const room = nodeRoom(incarnation);
    const outbox = this.#options.outbox.openAlways(room);
    try {
      const keys = [this.#options.keys.connections(room), ...outbox];
      await this.#scripts.run(OPEN_CONNECTION, keys, [connection, about, NOTE_LIFE_MS, event]);
    } finally {
      this.#options.outbox.written(room, outbox);
    }
  }

  /** One connection, or a slice of them all. Answers how many are left. */
  async #close(incarnation: string, reason: string, connection: string | undefined): Promise<number> {
    const room = nodeRoom(incarnation);
    const outbox = this.#options.outbox.openAlways(room);
    try {
      const keys = [this.#options.keys.connections(room), ...outbox];
      const values = [reason, "closed", connection === undefined ? SLICE : 0, connection ?? ""];
      return Number(await this.#scripts.run(CLOSE_CONNECTIONS, keys, values));
    } finally {
      this.#options.outbox.written(room, outbox);
    }
  }

  #key(incarnation: string): string {
    return this.#options.keys.connections(nodeRoom(incarnation));
  }

  #then(noted: Noted, step: () => Promise<void>): void {
    if (this.#waiting < MOST_WAITING) this.#follow(noted, step);
    else this.#options.dropped();
  }

  /** After what was asked for before, and again until Redis has confirmed it. */
  #follow(noted: Noted, step: () => Promise<void>): void {
    this.#waiting += 1;
    noted.settled = noted.settled
      .then(() => this.#untilDone(step))
      .finally(() => {
        this.#waiting -= 1;
      });
  }

  async #untilDone(step: () => Promise<void>): Promise<void> {
    for (let wait = RETRY_MS.first; !this.#closed; wait = Math.min(wait * 2, RETRY_MS.most)) {
      try {
        await step();
        return;
      } catch (error) {
        // Redis is away: a node that dies before it is back has told nobody of this connection.
        if (wait === RETRY_MS.first && !(error instanceof RoomcastError)) {
          this.#options.failed("a connection could not be told of", error);
        }
        await delay(wait, undefined, { ref: false });
      }
    }
  }
}

function rethrow(error: unknown): never {
  throw storeFailure(error);
}
