import { EventEmitter } from "node:events";
import { Budget, type Rate } from "../room/budget.ts";
import type { Engine, EngineSession } from "./admission.ts";

/** What stands between the packets of one polling request. */
const SEPARATOR = "\u001e";

/**
 * Ends sessions that send frames without end, whatever is in them: requests, acknowledgements, events of other names,
 * handshakes, and the websocket's own pings, which are answered without anybody's doing. Requests have budgets of their own,
 * and answers; this is for who does not listen to them. `ended` is called for each session that is ended so.
 */
export function guardFrames(engine: Engine, rate: Rate | "off", ended: () => void): void {
  if (rate === "off") return;
  engine.on("connection", (session: EngineSession) => {
    const frames = new Budget(rate);
    const end = () => {
      ended();
      cutOff(session);
    };
    const count = () => {
      if (frames.take() !== undefined) end();
    };
    session.on("packet", count);
    countPings(session.transport, count);
    if (session.transport.name === "polling") session.once("upgrade", (transport) => countPings(transport, count));
    boundPayloads(session, rate.burst, end);
  });
}

function countPings(transport: object, count: () => void): void {
  const websocket: unknown = Reflect.get(transport, "socket");
  if (websocket instanceof EventEmitter) websocket.on("ping", count);
}

/** Closes a session without waiting for its client, which would go on sending meanwhile. */
export function cutOff(session: EngineSession): void {
  const websocket: unknown = Reflect.get(session.transport, "socket");
  session.close(true);
  if (isTerminable(websocket)) websocket.terminate();
}

function isTerminable(value: unknown): value is { terminate(): void } {
  return typeof value === "object" && value !== null && "terminate" in value;
}

/** Engine.IO makes an object of every packet of a polling request before it looks at the first: too many hold the loop. */
function boundPayloads(session: EngineSession, mostPackets: number, end: () => void): void {
  const { transport } = session;
  if (transport.name !== "polling") return;
  const decode: unknown = Reflect.get(transport, "onData");
  if (typeof decode !== "function") throw new TypeError("Engine.IO's polling transport has no onData");
  Reflect.set(transport, "onData", (payload: unknown) => {
    if (typeof payload === "string" && hasMore(payload, SEPARATOR, mostPackets)) end();
    else decode.call(transport, payload);
  });
}

/** Whether `part` is in `text` so many times or more. */
function hasMore(text: string, part: string, times: number): boolean {
  let at = -1;
  for (let found = 0; found < times; found++) {
    at = text.indexOf(part, at + 1);
    if (at === -1) return false;
  }
  return true;
}
