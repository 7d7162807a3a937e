import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { readCall, usage } from "../../load/arguments.ts";
import { Span, watchNodes } from "../../load/endurance.ts";
import { Ledger } from "../../load/ledger.ts";
import { LoadMetrics } from "../../load/metrics-endpoint.ts";
import { SCRIPTS, TEXT_OPTIONS } from "../../load/options.ts";
import { PresenceView } from "../../load/presence-view.ts";
import { resultsTable } from "../../load/results.ts";
import { Seats } from "../../load/seats.ts";

const LOAD = join(import.meta.dirname, "../../load");
const NONE = { missing: 0, doubled: 0, outOfOrder: 0 };

function log(from: number, to: number): { seq: number; id: string }[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({ seq: from + index, id: `m${from + index}` }));
}

/** A ledger from position 4 that took these numbers. */
function ledgerOf(...numbers: readonly number[]): Ledger {
  const ledger = new Ledger({ epoch: "e", seq: 4, ts: 0 });
  for (const seq of numbers) ledger.take({ seq, id: `m${seq}` });
  return ledger;
}

describe("the ledger of a load test's member", () => {
  it("finds nothing wrong with a whole stream, beside a log that reaches further back", () => {
    expect(ledgerOf(5, 6, 7).faultsBeside(7, log(1, 7))).toEqual(NONE);
    expect(ledgerOf().faultsBeside(4, log(1, 4))).toEqual(NONE);
  });

  it("counts gaps, and what is due at the end", () => {
    expect(ledgerOf(5, 8).faults()).toEqual({ ...NONE, missing: 2 });
    expect(ledgerOf(6).faults()).toEqual({ ...NONE, missing: 1 });
    expect(ledgerOf(5, 8).faultsBeside(10, log(1, 10))).toEqual({ ...NONE, missing: 4 });
    expect(ledgerOf().faultsBeside(6, log(1, 6))).toEqual({ ...NONE, missing: 2 });
  });

  it("counts what comes again, and what comes late, which is not missing then", () => {
    expect(ledgerOf(5, 5, 6, 5, 4).faults()).toEqual({ ...NONE, doubled: 3 });
    expect(ledgerOf(6, 5, 7).faults()).toEqual({ ...NONE, outOfOrder: 1 });
    expect(ledgerOf(6, 5, 5).faults()).toEqual({ ...NONE, outOfOrder: 1, doubled: 1 });
  });

  it("counts another message under the log's number as missing", () => {
    const ledger = ledgerOf(5, 6);
    ledger.take({ seq: 7, id: "other" });
    expect(ledger.faultsBeside(7, log(5, 7))).toEqual({ ...NONE, missing: 1 });
  });

  it("keeps gaps for the whole stay, and ids for one page", () => {
    const numbers = log(6, 5_000).map(({ seq }) => seq);
    expect(ledgerOf(...numbers).faultsBeside(5_000, log(4_501, 5_000))).toEqual({ ...NONE, missing: 1 });
  });
});

describe("the rooms of a load test", () => {
  it("are filled one after the other, and a free seat is taken again", () => {
    const seats = new Seats("load:");
    const taken = [1, 2, 3].map(() => seats.take(2));
    expect(taken.map(({ room }) => room)).toEqual(["load:0", "load:0", "load:1"]);
    taken[0]?.free();
    expect(seats.take(2).room).toBe("load:0");
    expect(seats.take(2).room).toBe("load:1");
    expect(seats.take(2).room).toBe("load:2");
  });

  it("know who came first, and how many are there", () => {
    const seats = new Seats("load:");
    const first = seats.take(2);
    const second = seats.take(2);
    expect([first.isFirst, second.isFirst]).toEqual([true, false]);
    expect(first.taken()).toBe(2);
    second.free();
    expect(first.taken()).toBe(1);
    expect(seats.take(2).isFirst).toBe(false);
  });
});

describe("a load test's view of who is there", () => {
  const room = "load:1";
  const change = (id: string, version: number) => ({ room, user: { id }, memberCount: 0, version });
  /** A view of `a` and `b` at version 4, and how often it had missed something. */
  function viewOf(): { view: PresenceView; missed: () => number } {
    let missed = 0;
    const view = new PresenceView(() => {
      missed += 1;
    });
    view.start(["a", "b"], 4);
    return { view, missed: () => missed };
  }

  it("follows single events and summaries, and leaves out what it knows", () => {
    const { view, missed } = viewOf();
    view.heard("userJoined", change("b", 4));
    view.heard("userJoined", change("c", 5));
    view.heard("userLeft", change("a", 6));
    view.heardUpdate({ room, user: { id: "c" }, version: 7 });
    view.heardSummary({ room, joined: [{ id: "d" }], left: [{ id: "b" }], memberCount: 2, version: 11 });
    expect(view.beside(["c", "d"], 11)).toBe("equal");
    expect(view.beside(["c"], 11)).toBe("other");
    expect(view.beside(["c", "e"], 11)).toBe("other");
    expect(missed()).toBe(0);
  });

  it("tells once that a change was missed, and goes on from a new list", () => {
    const { view, missed } = viewOf();
    view.heard("userJoined", change("d", 6));
    view.heard("userJoined", change("e", 7));
    expect(missed()).toBe(1);
    expect(view.isBehind).toBe(true);
    expect(view.beside(["a", "b", "c", "d", "e"], 7)).toBe("behind");
    view.start(["a", "b", "c", "d", "e"], 7);
    expect(view.beside(["a", "b", "c", "d", "e"], 7)).toBe("equal");
    view.heardSummary({ room, joined: [], left: [], memberCount: 9, version: 8, partial: true });
    expect(missed()).toBe(2);
  });

  it("is compared at the answer's version, whatever came meanwhile", () => {
    const { view } = viewOf();
    view.hold();
    view.heard("userJoined", change("c", 5));
    view.heard("userLeft", change("a", 6));
    expect(view.beside(["a", "b", "c"], 5)).toBe("equal");
    expect(view.beside(["a", "b"], 4)).toBe("newer");
    view.release();
    view.hold();
    expect(view.beside(["b", "c"], 6)).toBe("equal");
    expect(view.beside(["b", "c", "d"], 7)).toBe("not yet");
    view.heard("userJoined", change("d", 7));
    expect(view.beside(["b", "c", "d"], 7)).toBe("equal");
  });

  it("is behind where news of a later change show that one before was missed, also while it is compared", () => {
    const { view, missed } = viewOf();
    view.hold();
    expect(view.beside(["a", "b", "c"], 5)).toBe("not yet");
    view.heard("userJoined", change("d", 6));
    expect(view.beside(["a", "b", "c"], 5)).toBe("behind");
    expect(missed()).toBe(1);
  });

  it("is not compared where the room was too large to be known, however small it is now", () => {
    const { view } = viewOf();
    view.stop();
    view.heard("userLeft", change("a", 5));
    expect(view.beside(["b"], 5)).toBe("unknown");
  });

  it("keeps what came before the answer of a join that it was newer than", () => {
    const { view, missed } = viewOf();
    view.hold();
    view.heard("userJoined", change("y", 9));
    view.heard("userJoined", change("z", 10));
    view.start(["x", "y"], 9);
    expect(view.beside(["x", "y", "z"], 10)).toBe("equal");
    expect(missed()).toBe(0);
  });
});

describe("the arguments of npm run load", () => {
  const read = (line: string) => readCall(line === "" ? [] : line.split(" "));

  it("name a script, or none for the chat, and keep the phases whole", () => {
    expect(read("")).toMatchObject({ script: "chat", config: { phases: [{ duration: 30, arrivalRate: 5 }] } });
    expect(read("--rate 7")).toMatchObject({ config: { phases: [{ duration: 30, arrivalRate: 7 }] } });
    const config = { phases: [{ duration: 5, arrivalCount: 9 }], variables: { members: 9, listeners: 2 } };
    expect(read("broadcast --members 9 --listeners=2")).toMatchObject({ script: "broadcast", config });
    expect(read("soak --admin http://a:1,http://b:2 --metrics-port 9465 --report r.json")).toMatchObject({
      config: { variables: { admin: "http://a:1,http://b:2" }, plugins: { "metrics-endpoint.ts": { port: 9465 } } },
      report: "r.json",
    });
    expect(read("table a.json b.json")).toEqual({ kind: "table", reports: ["a.json", "b.json"] });
    expect(read("soak --help")).toEqual({ kind: "help", text: usage("soak") });
  });

  it.each([
    ["storm", "there is no script storm: chat, presence-storm, broadcast, reconnect-storm, soak"],
    ["constructor", "there is no script constructor"],
    ["chat soak", "one script at a time, not chat and soak"],
    ["broadcast --stay 3", "--stay is no option of broadcast"],
    ["--admin http://a", "--admin is no option of chat"],
    ["--constructor 3", "there is no option --constructor"],
    ["--rate", "--rate needs a value"],
    ["--rate many", '--rate must be a whole number from 1, not "many"'],
    ["--rate 0", '--rate must be a whole number from 1, not "0"'],
    ["--metrics-port 65536", '--metrics-port must be a whole number from 1 to 65535, not "65536"'],
    ["--target ftp://a", "--target must be an http or https address"],
    ["soak --admin http://a,b", "--admin must be an http or https address"],
  ])("%s: is told what is wrong", (line, said) => {
    expect(() => read(line)).toThrow(said);
  });
});

describe("a load test's figures", () => {
  it("are compared in the first and the last quarter of the time in which everybody is there", () => {
    const span = new Span(1_000, 2_000);
    const parts = [999, 1_000, 1_249, 1_250, 1_749, 1_750, 1_999, 2_000].map((ms) => span.partAt(ms));
    expect(parts).toEqual([undefined, "first", "first", undefined, undefined, "last", "last", undefined]);
  });

  it("have names and units of Prometheus", async () => {
    const metrics = new LoadMetrics("chat");
    const summary = { p50: 5, p95: 20, p99: 30, max: 1_500 };
    const counters = { "load.sent": 2, "load.refused.rate_limited": 1, "errors.no_answer": 3, "vusers.failed": 4 };
    for (const added of [1, 2]) {
      metrics.add({ counters, summaries: { "load.ack_ms": { ...summary, p95: 20 * added } } });
    }
    metrics.add({ counters: { "http.requests": 1, "vusers.created_by_name.chat": 1 }, summaries: {} });
    const lines = (await metrics.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(lines.sort()).toEqual([
      'roomcast_load_ack_seconds{quantile="0.5",script="chat"} 0.005',
      'roomcast_load_ack_seconds{quantile="0.95",script="chat"} 0.04',
      'roomcast_load_ack_seconds{quantile="0.99",script="chat"} 0.03',
      'roomcast_load_ack_seconds{quantile="1",script="chat"} 1.5',
      'roomcast_load_errors_total{error="no_answer",script="chat"} 6',
      'roomcast_load_refused_total{code="rate_limited",script="chat"} 2',
      'roomcast_load_sent_total{script="chat"} 4',
      'roomcast_load_vusers_failed_total{script="chat"} 8',
    ]);
  });

  it("make a row of a table, for each report", () => {
    const table = resultsTable([
      {
        run: { script: "chat", options: { target: "http://a", rate: "9" }, version: "0.1.0", machine: "m" },
        aggregate: {
          counters: { "vusers.created": 90, "load.acknowledged": 1_000, "load.delivered": 10_000, "load.missing": 2 },
          summaries: { "load.ack_ms": { p50: 1.26, p95: 9.94, p99: 123.4 } },
          firstMetricAt: 5_000,
          lastMetricAt: 15_000,
        },
      },
    ]);
    expect(table).toMatch(/^Roomcast 0\.1\.0, virtual users on m\.\n\n\| script \|/);
    const row = table.split("\n").at(-1) ?? "";
    expect(row).toMatch(/^\| `chat` `--rate 9` \| 90 \| 10 \| 100 \| 1000 \| 1\.3 \/ 9\.9 \/ 123 \|/);
    expect(row).toMatch(/\| 0 \| 2 \| 0 \| 0 \|$/);
  });
});

describe("docs/load-testing.md", () => {
  const page = readFileSync(join(LOAD, "../docs/load-testing.md"), "utf8");
  const read = (file: string) => parse(readFileSync(join(LOAD, file), "utf8"));

  it.each(Object.entries(SCRIPTS))("has every option of %s with its meaning and its file's default", (name, script) => {
    const { config } = read(`${name}.yml`);
    for (const [option, { meaning, paths }] of Object.entries(script.options)) {
      for (const path of paths) {
        const value = path.reduce((holder, key) => holder[key], config);
        expect(page).toContain(`| \`--${option}\` | ${value} | ${meaning} |`);
      }
    }
  });

  it("has the options that every script takes", () => {
    for (const [option, { meaning }] of Object.entries(TEXT_OPTIONS)) {
      expect(page).toMatch(new RegExp(`\\| \`--${option}\` \\| [^|]+ \\| ${meaning} \\|`));
    }
    expect(page).toContain(`| \`--target\` | \`${read("limits.yml").config.target}\` |`);
  });
});

it("a node that is away for one look does not end the watch of the others; one that never answers is a wrong address", async () => {
  let isAway = false;
  const asked: boolean[] = [];
  const node = createServer((_request, response) => {
    asked.push(isAway);
    if (isAway) response.destroy();
    else {
      response.end(
        ["process_resident_memory_bytes 1048576", "roomcast_event_loop_delay_seconds_sum 1"]
          .concat("roomcast_event_loop_delay_seconds_count 2", "")
          .join("\n"),
      );
    }
    isAway = !isAway;
  }).listen(0, "127.0.0.1");
  await once(node, "listening");
  onTestFinished(() => void node.close());
  const url = `http://127.0.0.1:${(node.address() as AddressInfo).port}`;
  const emitted: string[] = [];
  const metrics = { emit: (_kind: string, name: string) => void emitted.push(name) };
  const now = performance.now();
  await watchNodes([url], new Span(now, now + 2_500), metrics);
  expect(asked).toEqual([false, true]);
  expect(emitted.filter((name) => name === "load.memory_grew")).toHaveLength(1);
  isAway = true;
  await expect(watchNodes([url], new Span(now, performance.now() + 2_500), metrics)).rejects.toThrow("no metrics at");
});
