// Loaded into a node by NODE_OPTIONS=--import: at SIGUSR2 it collects garbage and prints what is left, for tests that look
// for growth.
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");

process.on("SIGUSR2", async () => {
  // Twice, with a turn between: what the first one finalizes goes with the second.
  for (let time = 0; time < 2; time++) {
    collect();
    await delay(20);
  }
  process.stderr.write(`heap ${process.memoryUsage().heapUsed}\n`);
});
