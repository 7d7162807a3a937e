import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { tables, writePage } from "../../faults/page.ts";
import { percent } from "../../faults/report.ts";
import { addResult, type Result, readResults } from "../../faults/results.ts";
import { stopsWithTest } from "../support/teardown.ts";

const RESULT: Result = {
  ...{ target: "roomcast", scenario: "kill", seed: 1, seconds: 20, clients: 60 },
  ...{ machine: "2 cores", versions: "Node 24", date: "2026-11-24" },
  verdict: {
    ...{ acknowledged: 40, due: 800, arrived: 800, told: 0, doubled: 0, outOfOrder: 0, notStored: 0 },
    ...{
      presenceWrong: 0,
      notBack: 0,
      notAnswered: 0,
      recovery: { count: 3, p50Ms: 640, p99Ms: 1_250 },
      violations: 0,
    },
  },
};

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "roomcast-results-"));
  stopsWithTest(() => rm(made, { recursive: true }));
  return made;
}

describe("the results of the fault kit", () => {
  it("say 100.000 only where nothing is missing", () => {
    expect(percent(800, 800)).toBe("100.000");
    expect(percent(999_999_999, 1_000_000_000)).toBe("99.999");
    expect(percent(1, 2)).toBe("50.000");
    expect(percent(0, 0)).toBe("–");
  });

  it("are kept in a file, the newest of each target, scenario and seed", async () => {
    const file = join(await folder(), "results.jsonl");
    await addResult(file, RESULT);
    await addResult(file, { ...RESULT, seed: 2 });
    await addResult(file, { ...RESULT, clients: 30 });
    expect(await readResults(file)).toEqual([
      { ...RESULT, clients: 30 },
      { ...RESULT, seed: 2 },
    ]);
  });

  it("become a table for each target, which says what the stock one leaves out", () => {
    const text = tables([{ ...RESULT, seed: 2 }, { ...RESULT, target: "stock" }, RESULT]);
    expect(text).toContain("2026-11-24. 2 cores. Node 24. 60 clients, 20 s of load and faults each.");
    const kills = text.split("\n").filter((line) => line.startsWith("| kill "));
    expect(kills).toEqual([
      "| kill | 1 | 40 | 0 | 100.000 | 0 | 0 | 0 | 0 | 0 | 0 | 0.64 s / 1.25 s |",
      "| kill | 2 | 40 | 0 | 100.000 | 0 | 0 | 0 | 0 | 0 | 0 | 0.64 s / 1.25 s |",
      "| kill | 1 | 40 | – | 100.000 | 0 | 0 | – | – | 0 | 0 | 0.64 s / 1.25 s |",
    ]);
    expect(text).toMatch(/\| slow \| \| left out: .+ \|/);
    const widths = text.split("\n").filter((line) => line.startsWith("|"));
    expect(new Set(widths.map((line) => line.split("|").length)).size).toBe(1);
  });

  it("are written between the marks of a page, and nowhere else", async () => {
    const page = join(await folder(), "page.md");
    await writeFile(page, "before\n<!-- faults:start -->\nwhat was here\n<!-- faults:end -->\nafter\n");
    await writePage(page, [RESULT]);
    const text = await readFile(page, "utf8");
    expect(text).toMatch(/^before\n<!-- faults:start -->\n.*\| kill .*\n<!-- faults:end -->\nafter\n$/s);
    expect(text).not.toContain("what was here");
    await writeFile(page, "no marks");
    await expect(writePage(page, [RESULT])).rejects.toThrow("faults:start");
  });
});
