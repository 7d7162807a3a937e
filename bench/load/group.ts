import { setTimeout as delay } from "node:timers/promises";
import { percentile } from "../statistics.ts";
import { RawClient } from "./client.ts";
import type { DropCommand, OpenCommand, Opened, PublishCommand, Published } from "./command.ts";
import { DIALECTS } from "./dialect.ts";
import { nowMicros, stampedText } from "./stamp.ts";

const DRAINED_WITHIN_MS = 20_000;
const INTERVAL_MS = 2;
const DROP_SETTLE_MS = 300;
const MS_PER_SECOND = 1_000;
const MICROSECONDS_PER_MS = 1_000;
const MICROSECONDS = 1e6;

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const deadline = Date.now() + DRAINED_WITHIN_MS;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(what());
    await delay(INTERVAL_MS);
  }
}

function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / MICROSECONDS;
}

/** Clients that are opened, used and dropped together. */
export class Group {
  readonly #name: string;
  #clients: RawClient[] = [];
  #received = 0;
  #latencies: Float64Array = new Float64Array(0);

  constructor(name: string) {
    this.#name = name;
  }

  /** Clients of the same number are the same users as before, who remember where they stood. */
  async open({ dialect, clients, atOnce, missed = 0 }: OpenCommand): Promise<Opened> {
    const onMessage = (micros: number) => this.#heard(micros);
    this.#latencies = new Float64Array(0);
    this.#received = 0;
    const first = this.#clients.length;
    const opened = clients.map(
      (plan, index) => new RawClient(DIALECTS[dialect], `${this.#name}-${first + index}`, plan, onMessage),
    );
    this.#clients.push(...opened);
    const start = performance.now();
    let next = 0;
    const lane = async () => {
      for (let client = opened[next++]; client !== undefined; client = opened[next++]) await client.open();
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    const back = () => opened.every(({ messages }) => messages >= missed);
    await until(back, () => `some of ${opened.length} clients got less than the ${missed} messages they had missed`);
    const seconds = (performance.now() - start) / MS_PER_SECOND;
    return { clients: opened.length, seconds, messages: this.#received };
  }

  async publish(command: PublishCommand): Promise<Published> {
    const { turns, perTurn, turnsPerSecond, receivers, arrivals } = command;
    const sent = turns * perTurn;
    const expected = sent * receivers;
    this.#received = 0;
    this.#latencies = new Float64Array(expected);
    const cpu = ownCpuSeconds();
    const gap = MS_PER_SECOND / turnsPerSecond;
    let due = performance.now();
    for (let turn = 0; turn < turns; turn++) {
      const wait = due - performance.now();
      if (wait > 0) await delay(wait);
      this.#turn(command, turn);
      due += arrivals === "even" ? gap : -Math.log(1 - Math.random()) * gap;
    }
    await until(
      () => this.#received >= expected,
      () => `${this.#received} of ${expected} messages arrived${this.#ended()}`,
    );
    const sorted = this.#latencies.sort();
    return {
      sent,
      received: this.#received,
      p50: percentile(sorted, 0.5) / MICROSECONDS_PER_MS,
      p99: percentile(sorted, 0.99) / MICROSECONDS_PER_MS,
      loadSeconds: ownCpuSeconds() - cpu,
    };
  }

  async drop(how: DropCommand["how"]): Promise<void> {
    for (const client of this.#clients) client.end(how);
    this.#clients = [];
    await delay(DROP_SETTLE_MS);
  }

  #turn({ senders, perTurn, bytes }: PublishCommand, turn: number): void {
    const count = this.#clients.length;
    // A step that shares no factor with the count: neighbours, who may be in one room, do not follow one another.
    const index = senders === "first" ? 0 : (turn * 101) % count;
    const sender = this.#clients[index];
    if (sender === undefined) throw new Error(`the group ${this.#name} has no clients`);
    const { rooms } = sender.plan;
    const room = rooms[turn % rooms.length] ?? "";
    const frames = Array.from({ length: perTurn }, () => sender.frame(room, stampedText(bytes, nowMicros())));
    sender.write(Buffer.concat(frames));
  }

  #heard(micros: number): void {
    if (this.#received < this.#latencies.length) this.#latencies[this.#received] = nowMicros() - micros;
    this.#received++;
  }

  #ended(): string {
    const ended = this.#clients.flatMap(({ ended }) => (ended === undefined ? [] : [ended.message]));
    return ended.length === 0 ? "" : `; ${ended.length} clients lost their connection: ${ended[0]}`;
  }
}
