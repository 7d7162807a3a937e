import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianProgram } from "../../src/local/debian-packages.ts";
import { freePort } from "../../src/local/ports.ts";
import { binaryEnv } from "../../src/local/redis-binary.ts";
import { onPath } from "../../src/local/run-command.ts";
import { endProcess, spawnTied } from "../../src/local/tied-process.ts";
import type { TestCluster } from "./cluster.ts";
import { eventually } from "./eventually.ts";
import { stopsWithTest } from "./teardown.ts";

const CONFIG = join(import.meta.dirname, "../../deploy/haproxy/haproxy.cfg");
const DEBIAN_HAPROXY = { name: "haproxy", packages: ["haproxy"], path: "usr/sbin/haproxy" };
/** Servers come by DNS in the real file; nobody is asked where addresses are given. */
const NO_RESOLVER = "127.0.0.1:53";
const STOP_GRACE_MS = 1_000;
/** HAProxy's own: before that a process waits for what its predecessor hands on, and hands nothing on itself. */
const HANDS_ON_AFTER_SECONDS = 10;

interface Program {
  readonly command: string;
  readonly libraryPath?: string;
}

/** HAProxy of this machine, or Debian's, unpacked; undefined where neither can be had. */
export async function findHaproxy(): Promise<Program | undefined> {
  const command = await onPath("haproxy");
  return command === undefined ? await debianProgram(DEBIAN_HAPROXY, console.error) : { command };
}

/** Replaces what must be there: a configuration that changed shall not be tested by half. */
function replaced(text: string, part: string, by: string): string {
  if (!text.includes(part)) throw new Error(`${CONFIG} has no ${part}`);
  return text.replace(part, by);
}

interface Ports {
  readonly port: number;
  readonly statsPort: number;
  readonly peerPort: number;
}

/** The real file, but for where it listens and where the nodes are. */
async function configFor(
  cluster: Pick<TestCluster, "urls" | "adminUrls">,
  { port, statsPort, peerPort }: Ports,
): Promise<string> {
  const servers = cluster.urls.map((url, i) => {
    const admin = new URL(cluster.adminUrls[i] ?? "").port;
    return `server node${i + 1} ${new URL(url).host} port ${admin}`;
  });
  let text = await readFile(CONFIG, "utf8");
  text = replaced(text, "bind :3000", `bind 127.0.0.1:${port}`);
  text = replaced(text, "server next 127.0.0.1:3000", `server next 127.0.0.1:${port}`);
  text = replaced(text, "bind :8404", `bind 127.0.0.1:${statsPort}`);
  text = replaced(text, "peer reload 127.0.0.1:10000", `peer reload 127.0.0.1:${peerPort}`);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: HAProxy's own
  return replaced(text, 'server-template node 16 "${NODE_HOST}:3000"', servers.join("\n  "));
}

export interface Haproxy {
  readonly url: string;
  /** How many nodes it takes for alive, of all. */
  up(): Promise<number>;
  /** Has it read its file again, as an operator does, and waits until a new process serves. */
  reload(): Promise<void>;
}

/** Puts a real HAProxy with `deploy/haproxy/haproxy.cfg` in front of a cluster. Stops with the test that called it. */
export async function startHaproxy(
  program: Program,
  cluster: Pick<TestCluster, "urls" | "adminUrls">,
): Promise<Haproxy> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-haproxy-"));
  const [port, statsPort, peerPort] = [await freePort(), await freePort(), await freePort()];
  const file = join(folder, "haproxy.cfg");
  await writeFile(file, await configFor(cluster, { port, statsPort, peerPort }));
  const lines: string[] = [];
  const child = spawnTied(program.command, ["-W", "-db", "-f", file], {
    deathSignal: "SIGKILL",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...binaryEnv(program.libraryPath), NODE_HOST: "unused", RESOLVER: NO_RESOLVER },
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => lines.push(String(chunk)));
  stopsWithTest(async () => {
    await endProcess(child, STOP_GRACE_MS);
    await rm(folder, { recursive: true });
  });
  const stats = async (path: string) => {
    if (child.exitCode !== null) throw new Error(`haproxy ended:\n${lines.join("")}`);
    // Not by a connection that is kept: that would be the old process'.
    return await (await fetch(`http://127.0.0.1:${statsPort}${path}`, { headers: { connection: "close" } })).text();
  };
  const up = async () => {
    const text = await stats("/;csv");
    return [...text.matchAll(/^nodes,node\d+,.*?,(UP|DOWN)/gm)].filter(([, state]) => state === "UP").length;
  };
  await eventually(async () => {
    if ((await up()) < cluster.urls.length) throw new Error(`not all nodes are up:\n${lines.join("")}`);
  });
  const upSeconds = async () => {
    const [, minutes, seconds] = /uptime = <\/b> 0d 0h(\d\d)m(\d\d)s/.exec(await stats("/")) ?? [];
    return Number(minutes) * 60 + Number(seconds);
  };
  const pid = async () => /pid = <\/b> (\d+)/.exec(await stats("/"))?.[1];
  const reload = async () => {
    await eventually(
      async () => {
        if (!((await upSeconds()) > HANDS_ON_AFTER_SECONDS)) throw new Error("HAProxy has only begun");
      },
      { withinMs: 3 * HANDS_ON_AFTER_SECONDS * 1_000 },
    );
    const before = await pid();
    child.kill("SIGUSR2");
    await eventually(async () => {
      const now = await pid();
      if (now === undefined || now === before) throw new Error(`still process ${before}:\n${lines.join("")}`);
    });
  };
  return { url: `http://127.0.0.1:${port}`, up, reload };
}
