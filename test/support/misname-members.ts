// For `node --import`: every tenth `userLeft` frame of this node tells of somebody else, under the right version, so that
// no client can notice by counting.
import type { Frame } from "../../src/feed/frame.ts";
import type { SocketOutlet } from "../../src/socket/outlet.ts";

const WRONG_OF = 10;
const LEFT_PREFIX = '2["userLeft",';

// What `node dist/main.js` runs; the sources' own classes would be others.
const inDist = (path: string) => new URL(`../../dist/${path}`, import.meta.url).href;
const outlet: { SocketOutlet: typeof SocketOutlet } = await import(inDist("socket/outlet.js"));
const frames: { Frame: typeof Frame } = await import(inDist("feed/frame.js"));
const { prototype } = outlet.SocketOutlet;
const write = prototype.write;
let leavings = 0;
prototype.write = function (frame) {
  if (!frame.text.startsWith(LEFT_PREFIX) || ++leavings % WRONG_OF !== 0) return write.call(this, frame);
  const wrong = frame.text.replace('"user":{"id":"', '"user":{"id":"not-');
  return write.call(this, frames.Frame.ofPacket(wrong));
};
