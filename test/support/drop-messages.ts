// For `node --import`: every tenth `message` frame of this node is lost on its way out, after the node has counted it as
// delivered, so that nothing in the node can notice.
import type { SocketOutlet } from "../../src/socket/outlet.ts";

const DROPPED_OF = 10;
const MESSAGE_PREFIX = '2["message",';

// What `node dist/main.js` runs; the sources' own class would be another one.
const dist: { SocketOutlet: typeof SocketOutlet } = await import(
  new URL("../../dist/socket/outlet.js", import.meta.url).href
);
const { prototype } = dist.SocketOutlet;
const write = prototype.write;
let messages = 0;
prototype.write = function (frame) {
  if (frame.text.startsWith(MESSAGE_PREFIX) && ++messages % DROPPED_OF === 0) return true;
  return write.call(this, frame);
};
// The short way goes past `write`.
Object.defineProperty(prototype, "line", { get: () => undefined });
