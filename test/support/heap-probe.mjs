// Loaded into a node by NODE_OPTIONS=--import: answers on loopback how much of the heap is used after a collection.
import { createServer } from "node:http";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc");
const server = createServer((_request, response) => {
  collect();
  collect();
  response.end(String(process.memoryUsage().heapUsed));
});
server.listen(Number(process.env.HEAP_PROBE_PORT), "127.0.0.1").unref();
