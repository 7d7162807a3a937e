// What `docker compose --profile faults up` runs: one fault after the other in the containers of one compose project, through
// the engine's socket, each once everything is healthy again. Its lines say what was done when.
import { request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

const SOCKET = "/var/run/docker.sock";
const FREEZE_MS = 5_000;
const HEALTHY_WITHIN_MS = 120_000;
const LOOK_EVERY_MS = 500;

interface Container {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly State: string;
  /** Such as `Up 3 minutes (healthy)`. */
  readonly Status: string;
}

/** A call of the engine's API; rejects where its answer is an error. */
function engine(method: "GET" | "POST", path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: SOCKET, method, path }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk) => (text += chunk));
      answer.on("end", () => {
        if ((answer.statusCode ?? 500) < 400) resolve(text === "" ? undefined : JSON.parse(text));
        else reject(new Error(`${method} ${path} was answered ${answer.statusCode}: ${text.trim()}`));
      });
    });
    call.on("error", reject).end();
  });
}

async function containersOf(project: string, service: string): Promise<Container[]> {
  const label = [`com.docker.compose.project=${project}`, `com.docker.compose.service=${service}`];
  const filters = encodeURIComponent(JSON.stringify({ label: [...label, "com.docker.compose.oneoff=False"] }));
  return (await engine("GET", `/containers/json?all=true&filters=${filters}`)) as Container[];
}

const order = (id: string, what: string) => engine("POST", `/containers/${id}/${what}`);

async function kill(id: string): Promise<void> {
  await order(id, "kill");
  await order(id, "start");
}

async function freeze(id: string): Promise<void> {
  await order(id, "pause");
  await delay(FREEZE_MS);
  await order(id, "unpause");
}

const FAULTS: Readonly<Record<string, readonly [service: string, run: (id: string) => Promise<unknown>]>> = {
  "kill-node": ["node", kill],
  // As a deploy does it: the node drains.
  "restart-node": ["node", (id) => order(id, "restart?t=40")],
  "freeze-node": ["node", freeze],
  "kill-redis": ["redis", kill],
  "freeze-redis": ["redis", freeze],
  "reload-haproxy": ["haproxy", (id) => order(id, "kill?signal=USR2")],
};

async function whenHealthy(project: string): Promise<void> {
  const until = Date.now() + HEALTHY_WITHIN_MS;
  for (;;) {
    const all = (await Promise.all(["node", "redis"].map((service) => containersOf(project, service)))).flat();
    if (all.length > 0 && all.every(({ State, Status }) => State === "running" && Status.includes("(healthy)"))) return;
    if (Date.now() > until) throw new Error(`not all containers are healthy after ${HEALTHY_WITHIN_MS / 1_000} s`);
    await delay(LOOK_EVERY_MS);
  }
}

const pick = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(Math.random() * items.length)];

async function inject(project: string, fault: string): Promise<void> {
  const [service, run] = FAULTS[fault] ?? [];
  if (service === undefined || run === undefined) {
    throw new Error(`FAULTS: ${fault} is none of ${Object.keys(FAULTS).join(", ")}`);
  }
  const container = pick(await containersOf(project, service));
  if (container === undefined) throw new Error(`the project ${project} has no container of ${service}`);
  process.stdout.write(`${new Date().toISOString()} ${fault} ${container.Names[0]?.slice(1)}\n`);
  await run(container.Id);
}

const { PROJECT = "", FAULTS: chosen = "", EVERY_SECONDS = "20" } = process.env;
const faults = chosen === "" ? Object.keys(FAULTS) : chosen.split(",").map((name) => name.trim());
const stopped = new AbortController();
// What was begun is ended first: nothing stays frozen.
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => stopped.abort());
for (let turn = 0; !stopped.signal.aborted; turn++) {
  await whenHealthy(PROJECT);
  await inject(PROJECT, faults[turn % faults.length] ?? "");
  await delay(Number(EVERY_SECONDS) * 1_000, undefined, { signal: stopped.signal }).catch(() => undefined);
}
