import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import { RoomcastError } from "../errors.ts";
import { storeFailure } from "./failure.ts";
import { TurnWrites } from "./turn-writes.ts";

const INCLUDE = /^--- @include "([\w-]+\.lua)"$/gm;
const SHARED_SCRIPTS = new URL("./scripts/", import.meta.url);

/** A Lua script with its includes. */
export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha: string;
}

/** Reads a script; lines `--- @include "name.lua"` stand for files of `src/redis/scripts/`, one function each. */
export function readScript(file: URL): Script {
  const source = readFileSync(file, "utf8").replace(INCLUDE, (_line, name: string) =>
    readFileSync(new URL(name, SHARED_SCRIPTS), "utf8").trimEnd(),
  );
  const name = file.pathname.slice(file.pathname.lastIndexOf("/") + 1);
  return { name, source, sha: createHash("sha1").update(source).digest("hex") };
}

export type ScriptArgument = string | number;

/**
 * Runs scripts on one connection, in the order of the calls, those of other runners on it among them. They are loaded
 * before anything else on every new connection, and run by their hash only: sending the source where the hash is unknown
 * would overtake what was sent after it. When the server forgot them, they are loaded again and the calls until then fail
 * with `unavailable`.
 */
export class ScriptRunner {
  readonly #redis: Redis;
  readonly #scripts: readonly Script[];
  readonly #writes: TurnWrites;
  #loaded = false;
  #loading = false;
  #loadFailure: unknown;

  constructor(redis: Redis, scripts: readonly Script[]) {
    this.#redis = redis;
    this.#scripts = scripts;
    this.#writes = TurnWrites.of(redis);
    redis.prependListener("ready", () => this.#load());
    redis.on("close", () => {
      this.#loaded = false;
      this.#loading = false;
    });
    if (redis.status === "ready") this.#load();
  }

  /** Strings come back as Buffers. Rejects with `unavailable` where the outcome is unknown. */
  run(script: Script, keys: readonly string[], values: readonly ScriptArgument[]): Promise<unknown> {
    return this.#send("EVALSHA", script, keys, values);
  }

  /** As `run`, for a script that Redis shall not let write. */
  read(script: Script, keys: readonly string[], values: readonly ScriptArgument[]): Promise<unknown> {
    return this.#send("EVALSHA_RO", script, keys, values);
  }

  /**
   * Calls `send`, which must not throw, before anything else is run on the connection, by whichever runner, at the latest
   * at the end of this turn of the event loop: what it runs keeps its place in the order of the calls, and leaves no later
   * than if it were run now. Throws `unavailable` at once where there is no connection.
   */
  putOff(send: () => void): void {
    this.#requireLoaded();
    this.#writes.putOff(send);
  }

  async #send(
    command: "EVALSHA" | "EVALSHA_RO",
    script: Script,
    keys: readonly string[],
    values: readonly ScriptArgument[],
  ): Promise<unknown> {
    this.#requireLoaded();
    this.#writes.join();
    try {
      return await this.#redis.callBuffer(command, [script.sha, keys.length, ...keys, ...values]);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw storeFailure(error);
      this.#load();
      throw storeFailure(this.#loadFailure ?? error);
    }
  }

  #requireLoaded(): void {
    // Between the connection and its `ready` event ioredis would send already, before the scripts.
    if (!this.#loaded) throw new RoomcastError("unavailable");
  }

  #load(): void {
    this.#loaded = true;
    if (this.#loading) return;
    this.#loading = true;
    const loads = this.#scripts.map(({ source }) => this.#redis.callBuffer("SCRIPT", "LOAD", source));
    const settle = (failure: unknown) => {
      this.#loading = false;
      this.#loadFailure = failure;
    };
    // After a failure, calls fail with NOSCRIPT until one of them makes the next try, and say why this one failed.
    Promise.all(loads).then(() => settle(undefined), settle);
  }
}
