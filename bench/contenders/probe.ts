// Loaded into a server by NODE_OPTIONS=--import: what only the process itself can tell, asked over loopback outside of the
// time that is measured. `/collect` collects garbage; `/delay` says for how long the loop was held at most since it was asked last.
import { createServer } from "node:http";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const RESOLUTION_MS = 1;
const NANOSECONDS_PER_MS = 1e6;

setFlagsFromString("--expose-gc");
const collect: unknown = runInNewContext("gc");
const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delay.enable();

const server = createServer((request, response) => {
  // V8's last resort also gives back what a burst of work had made the young generation grow by.
  if (request.url === "/collect" && typeof collect === "function") {
    collect({ type: "major", execution: "sync", flavor: "last-resort" });
  }
  response.end(JSON.stringify({ maxDelayMs: delay.max / NANOSECONDS_PER_MS }));
  delay.reset();
});
server.listen(Number(process.env.BENCH_PROBE_PORT), "127.0.0.1").unref();
