import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Contender, ContenderName } from "./contender.ts";
import { startNodes } from "./node-servers.ts";
import { startServer } from "./server-process.ts";

const BENCH = join(import.meta.dirname, "..");

/** The version of an installed package, from bench/ or from the root. */
function versionOf(name: string): string {
  for (const root of [BENCH, join(BENCH, "..")]) {
    try {
      const text = readFileSync(join(root, "node_modules", name, "package.json"), "utf8");
      return (JSON.parse(text) as { version: string }).version;
    } catch {}
  }
  return "(not installed)";
}

function script(file: string, env: Readonly<Record<string, string>>, port: number) {
  const path = join(import.meta.dirname, file);
  return startServer(process.execPath, [path], port, {
    // One malloc arena, as Roomcast's nodes have.
    env: { MALLOC_ARENA_MAX: "1", ...process.env, NODE_ENV: "production", PORT: String(port), ...env },
  });
}

function socketio(name: ContenderName & ("classic" | "sharded" | "streams"), adapter: string): Contender {
  return {
    name,
    label: `Socket.IO ${versionOf("socket.io")} with the ${name} adapter (${adapter} ${versionOf(adapter)})`,
    dialect: "socketio",
    start: (options) =>
      startNodes(options, true, (port, env) => script("socketio-server.ts", { ...env, ADAPTER: name }, port)),
  };
}

/** What no server of this kind gets under (floor-server.ts): a mark, not something to choose. */
export const floor: Contender = {
  name: "floor",
  label: "the floor: tokens, seats and Roomcast's log behind Socket.IO, nothing else",
  dialect: "roomcast",
  start: (options) => startNodes(options, true, (port, env) => script("floor-server.ts", env, port)),
};

export function nodePeers(): Contender[] {
  return [
    socketio("sharded", "@socket.io/redis-adapter"),
    socketio("classic", "@socket.io/redis-adapter"),
    socketio("streams", "@socket.io/redis-streams-adapter"),
    {
      name: "ws",
      label: `a bare loop over ws ${versionOf("ws")}, one process without Redis`,
      dialect: "ws",
      start: (options) => startNodes(options, false, (port, env) => script("ws-server.ts", env, port)),
    },
  ];
}
