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

/** The real file, but for where it listens and where the nodes are. */
async function configFor(cluster: TestCluster, port: number, statsPort: number): Promise<string> {
  const servers = cluster.urls.map((url, i) => {
    const admin = new URL(cluster.adminUrls[i] ?? "").port;
    return `server node${i + 1} ${new URL(url).host} port ${admin}`;
  });
  let text = await readFile(CONFIG, "utf8");
  text = replaced(text, "bind :3000", `bind 127.0.0.1:${port}`);
  text = replaced(text, "bind :8404", `bind 127.0.0.1:${statsPort}`);
  // biome-ignore lint/suspicious/noTemplateCurlyInString: HAProxy's own
  return replaced(text, 'server-template node 16 "${NODE_HOST}:3000"', servers.join("\n  "));
}

export interface Haproxy {
  readonly url: string;
  /** How many nodes it takes for alive, of all. */
  up(): Promise<number>;
}

/** Puts a real HAProxy with `deploy/haproxy/haproxy.cfg` in front of a cluster. Stops with the test that called it. */
export async function startHaproxy(program: Program, cluster: TestCluster): Promise<Haproxy> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-haproxy-"));
  const [port, statsPort] = [await freePort(), await freePort()];
  const file = join(folder, "haproxy.cfg");
  await writeFile(file, await configFor(cluster, port, statsPort));
  const lines: string[] = [];
  const child = spawnTied(program.command, ["-db", "-f", file], {
    deathSignal: "SIGKILL",
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...binaryEnv(program.libraryPath), NODE_HOST: "unused", RESOLVER: NO_RESOLVER },
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => lines.push(String(chunk)));
  stopsWithTest(async () => {
    await endProcess(child, STOP_GRACE_MS);
    await rm(folder, { recursive: true });
  });
  const up = async () => {
    if (child.exitCode !== null) throw new Error(`haproxy ended:\n${lines.join("")}`);
    const text = await (await fetch(`http://127.0.0.1:${statsPort}/;csv`)).text();
    return [...text.matchAll(/^nodes,node\d+,.*?,(UP|DOWN)/gm)].filter(([, state]) => state === "UP").length;
  };
  await eventually(async () => {
    if ((await up()) < cluster.urls.length) throw new Error(`not all nodes are up:\n${lines.join("")}`);
  });
  return { url: `http://127.0.0.1:${port}`, up };
}
