import { setTimeout as delay } from "node:timers/promises";
import type { Balancer } from "./balancer.ts";
import { type NodeProcess, startNode } from "./node-process.ts";
import { freePort } from "./ports.ts";
import type { Say } from "./redis-binary.ts";

const READY_WITHIN_MS = 30_000;
const READY_INTERVAL_MS = 500;
const STOP_GRACE_MS = 5_000;
/** A node that dies at once again and again is started later each time; one that lived this long starts anew at once. */
const HEALTHY_AFTER_MS = 30_000;
const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 5_000;
const LAST_LINES = 10;

interface LocalClusterOptions {
  readonly count: number;
  readonly env: Readonly<Record<string, string>>;
  readonly balancer: Balancer;
  readonly say: Say;
  readonly script?: string;
}

/** Lets the balancer use a node from when it is ready until it ends, and keeps its readiness up to date. */
async function serve(node: NodeProcess, balancer: Balancer): Promise<void> {
  const upstream = { name: node.name, port: node.port, ready: true };
  balancer.add(upstream);
  void node.ended.then(() => balancer.remove(upstream));
  while (node.isAlive()) {
    await Promise.race([delay(READY_INTERVAL_MS), node.ended]);
    upstream.ready = await node.isReady();
  }
}

/** One place in the cluster: a node, and the one that follows it when it dies. */
class Slot {
  readonly name: string;
  readonly #options: LocalClusterOptions;
  readonly #lines: string[] = [];
  #node: NodeProcess | undefined;
  /** Until then its lines are kept, for the error if there is one. */
  #wasReady = false;
  #stopping = false;

  constructor(name: string, options: LocalClusterOptions) {
    this.name = name;
    this.#options = options;
  }

  /** Starts the first one and waits until it is ready, then looks after it. Rejects with its last lines if it is not. */
  async start(): Promise<void> {
    const node = await this.#spawn();
    if (node === undefined) return;
    if (!(await node.untilReady(READY_WITHIN_MS))) {
      const state = node.isAlive() ? `is not ready after ${READY_WITHIN_MS / 1_000} s` : `ended: ${await node.ended}`;
      throw new Error([`${this.name} ${state}`, ...this.#lines].join("\n  "));
    }
    this.#wasReady = true;
    void this.#keepAlive(node);
  }

  kill(): boolean {
    if (this.#node?.isAlive() !== true) return false;
    this.#node.kill("SIGKILL");
    return true;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#node?.stop(STOP_GRACE_MS);
  }

  /** Nothing where it was stopped meanwhile. */
  async #spawn(): Promise<NodeProcess | undefined> {
    const { env, say, script } = this.#options;
    const onLine = (line: string) => {
      this.#lines.push(line);
      if (this.#lines.length > LAST_LINES) this.#lines.shift();
      if (this.#wasReady) say(`${this.name}  ${line}`);
    };
    // The same addresses as before, so that what watches a node finds its next life.
    const port = await freePort(this.#node?.port);
    const adminPort = await freePort(this.#node?.adminPort);
    if (this.#stopping) return undefined;
    const node = startNode({ name: this.name, port, adminPort, env, onLine, ...(script && { script }) });
    this.#node = node;
    return node;
  }

  async #keepAlive(first: NodeProcess): Promise<void> {
    let node: NodeProcess | undefined = first;
    let deaths = 0;
    while (node !== undefined) {
      const bornAt = Date.now();
      if (await node.untilReady(READY_WITHIN_MS)) await serve(node, this.#options.balancer);
      if (this.#stopping) return;
      await node.stop(STOP_GRACE_MS);
      deaths = Date.now() - bornAt > HEALTHY_AFTER_MS ? 0 : deaths + 1;
      const wait = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.max(0, deaths - 1));
      this.#options.say(`${this.name} ended (${await node.ended}): starting it again in ${wait / 1_000} s`);
      await delay(wait);
      node = await this.#spawn();
    }
  }
}

/** Node processes behind a balancer, `node-1` to `node-<count>`, each started again when it dies. */
export class LocalCluster {
  readonly #slots: readonly Slot[];

  constructor(options: LocalClusterOptions) {
    this.#slots = Array.from({ length: options.count }, (_, i) => new Slot(`node-${i + 1}`, options));
  }

  /** Starts all and waits until they are ready; rejects, with none left, if one is not. */
  async start(): Promise<void> {
    const results = await Promise.allSettled(this.#slots.map((slot) => slot.start()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) return;
    await this.stop();
    throw failed.reason;
  }

  get names(): readonly string[] {
    return this.#slots.map(({ name }) => name);
  }

  /** Ends a node by SIGKILL; false where none of that name runs. */
  kill(name: string): boolean {
    return this.#slots.find((slot) => slot.name === name)?.kill() ?? false;
  }

  /** Ends all nodes: SIGTERM, then SIGKILL. */
  async stop(): Promise<void> {
    await Promise.all(this.#slots.map((slot) => slot.stop()));
  }
}
