import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type DebianProgram, debianProgram, type Unpacked } from "../../src/local/debian-packages.ts";
import { freePort } from "../../src/local/ports.ts";
import { binaryEnv } from "../../src/local/redis-binary.ts";
import type { Contender, ContenderName, Running } from "./contender.ts";
import { startServer } from "./server-process.ts";

const VERSION_TIMEOUT_MS = 5_000;
const FOLDER = join(tmpdir(), "roomcast-bench-");

/** An outside mark: a server of another kind, which promises less. */
interface Peer {
  readonly name: ContenderName;
  readonly title: string;
  readonly dialect: Contender["dialect"];
  readonly program: DebianProgram;
  /** What it says when asked for its version, and where in that the version is. */
  readonly version: { readonly flag: string; readonly pattern: RegExp };
  configure(port: number): Promise<string>;
  arguments(file: string): readonly string[];
}

const NATS: Peer = {
  name: "nats",
  title: "NATS by websocket (core, at most once)",
  dialect: "nats",
  program: { name: "nats-server", packages: ["nats-server"], path: "usr/sbin/nats-server" },
  version: { flag: "--version", pattern: /v?(\d+\.\d+\.\d+)/ },
  configure: async (port) =>
    `listen: "127.0.0.1:${await freePort()}"\nwebsocket { listen: "127.0.0.1:${port}", no_tls: true }\n`,
  arguments: (file) => ["-c", file],
};

const MOSQUITTO: Peer = {
  name: "mosquitto",
  title: "Mosquitto by websocket (QoS 0, at most once)",
  dialect: "mqtt",
  program: { name: "mosquitto", packages: ["mosquitto"], path: "usr/sbin/mosquitto" },
  version: { flag: "-h", pattern: /mosquitto version (\d+\.\d+\.\d+)/ },
  configure: async (port) =>
    // A listener of the plain kind as well: with none, it takes the websockets for a failed start.
    `listener ${await freePort()} 127.0.0.1\nlistener ${port} 127.0.0.1\nprotocol websockets\nallow_anonymous true\nuser ${userInfo().username}\n`,
  arguments: (file) => ["-c", file],
};

async function start(peer: Peer, unpacked: Unpacked, nodes: number): Promise<Running> {
  if (nodes !== 1) throw new Error(`${peer.title} is measured on one node only`);
  const folder = await mkdtemp(FOLDER);
  const port = await freePort();
  const file = join(folder, "server.conf");
  await writeFile(file, await peer.configure(port));
  const env = binaryEnv(unpacked.libraryPath);
  const server = await startServer(unpacked.command, peer.arguments(file), port, { env, cwd: folder });
  const stop = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  return { ports: [port], serverPids: [server.pid], pids: [server.pid], probePorts: [], stop };
}

/** The servers of Debian's packages; `missing` is called with what cannot be had here, and why. */
export async function debianPeers(
  say: (line: string) => void,
  missing: (name: ContenderName, why: string) => void,
): Promise<Contender[]> {
  const contenders: Contender[] = [];
  for (const peer of [NATS, MOSQUITTO]) {
    const unpacked = await debianProgram(peer.program, say);
    if (unpacked === undefined) {
      missing(peer.name, `Debian's package ${peer.program.name} cannot be had on this machine`);
      continue;
    }
    const env = binaryEnv(unpacked.libraryPath);
    // Not by `ask`: Mosquitto tells its version with its help, and fails.
    const { stdout } = spawnSync(unpacked.command, [peer.version.flag], { timeout: VERSION_TIMEOUT_MS, env });
    const version = peer.version.pattern.exec(String(stdout))?.[1] ?? "";
    contenders.push({
      name: peer.name,
      label: `${peer.title} ${version}`.trim(),
      dialect: peer.dialect,
      start: ({ nodes }) => start(peer, unpacked, nodes),
    });
  }
  return contenders;
}
