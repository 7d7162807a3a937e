import type { IncomingMessage } from "node:http";
import { Budget, type Rate } from "../room/budget.ts";
import { type Engine, type EngineSession, sessionOf, websocketOf } from "./engine.ts";

/** What stands between the packets of one polling request. */
const SEPARATOR = "\u001e";

/**
 * Ends sessions that send frames without end, whatever is in them: requests, acknowledgements, events of other names,
 * handshakes, and the websocket's own pings, which are answered without anybody's doing. Requests have budgets of their own,
 * and answers; this is for who does not listen to them. `ended` is called for each session that is ended so.
 */
export function guardFrames(engine: Engine, rate: Rate | "off", ended: () => void): void {
  if (rate === "off") return;
  /** Of sessions that may be upgraded: whether one more frame is too many, which ends the session. */
  const counts = new WeakMap<object, () => boolean>();
  engine.on("connection", (session: EngineSession) => {
    const frames = new Budget(rate);
    let isOver = false;
    const end = () => {
      isOver = true;
      ended();
      cutOff(session);
    };
    const count = () => {
      if (!isOver && frames.take() !== undefined) end();
      return isOver;
    };
    session.on("packet", count);
    websocketOf(session.transport)?.on("ping", count);
    if (session.transport.name === "polling") counts.set(session, count);
    boundPayloads(session, rate.burst, end);
  });
  watchUpgrades(engine, (session) => counts.get(session));
}

/**
 * A session hears nothing of a websocket that is not yet its own, whatever it sends: it is counted from its first frame, also
 * after an attempt that Engine.IO gave up and before its client has closed it.
 */
function watchUpgrades(engine: Engine, countOf: (session: object) => (() => boolean) | undefined): void {
  const create: unknown = Reflect.get(engine, "createTransport");
  if (typeof create !== "function") throw new TypeError("Engine.IO has no createTransport: upgrades cannot be watched");
  Reflect.set(engine, "createTransport", (name: string, request: IncomingMessage) => {
    const transport: EngineSession["transport"] = Reflect.apply(create, engine, [name, request]);
    const session = sessionOf(engine, request);
    const count = session && countOf(session);
    const websocket = websocketOf(transport);
    if (session === undefined || count === undefined || websocket === undefined) return transport;
    const countFrame = () => {
      if (count()) websocket.terminate();
    };
    websocket.on("ping", countFrame).on("message", countFrame);
    // From then on the session hears of its frames itself.
    const upgraded = (to: object) => {
      if (to === transport) websocket.off("message", countFrame);
    };
    session.once("upgrade", upgraded);
    websocket.once("close", () => session.off("upgrade", upgraded));
    return transport;
  });
}

/** Closes a session without waiting for its client, which would go on sending meanwhile. */
function cutOff(session: EngineSession): void {
  session.close(true);
  websocketOf(session.transport)?.terminate();
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
