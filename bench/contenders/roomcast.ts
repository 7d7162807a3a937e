import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startNode } from "../../src/local/node-process.ts";
import { freePort } from "../../src/local/ports.ts";
import { TOKEN_SECRET } from "../load/token.ts";
import type { Contender } from "./contender.ts";
import { startNodes } from "./node-servers.ts";

const READY_WITHIN_MS = 20_000;
const STOP_GRACE_MS = 1_000;
const DEFAULT_CONNECTIONS = 20_000;
const LAST_LINES = 5;
const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8")) as {
  version: string;
};

/** Roomcast's real nodes as in production, but for the rate limits: the load comes from few publishers. */
export const roomcast: Contender = {
  name: "roomcast",
  label: `Roomcast ${version}`,
  dialect: "roomcast",
  start: (options) =>
    startNodes(options, true, async (port, env, index) => {
      const lines: string[] = [];
      const node = startNode({
        name: `bench-${index}-${randomUUID().slice(0, 8)}`,
        port,
        adminPort: await freePort(),
        env: {
          NODE_ENV: "production",
          DEMO: "off",
          JWT_SECRET: TOKEN_SECRET,
          RATE_LIMITS: "off",
          LOG_LEVEL: "warn",
          DRAIN_SECONDS: "1",
          MAX_ROOMS_PER_CONNECTION: "1000",
          MAX_CONNECTIONS: String(options.connections ?? DEFAULT_CONNECTIONS),
          ...env,
        },
        onLine: (line) => {
          lines.push(line);
          if (lines.length > LAST_LINES) lines.shift();
        },
      });
      if (await node.untilReady(READY_WITHIN_MS)) return { pid: node.pid, stop: () => node.stop(STOP_GRACE_MS) };
      await node.stop(0);
      throw new Error(`a node of Roomcast did not start: ${lines.join("\n")}`);
    }),
};
