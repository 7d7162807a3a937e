import type { Dialect } from "./dialect.ts";
import { OPCODE } from "./frames.ts";

/** Packet types of MQTT 3.1.1, in the first byte's upper half. */
const CONNECT = 0x10;
const CONNACK = 0x20;
const PUBLISH = 0x30;
const SUBSCRIBE = 0x82;
const SUBACK = 0x90;
const PROTOCOL_LEVEL = 4;
const CLEAN_SESSION = 2;

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

function packet(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  let left = body.length;
  do {
    const rest = left >> 7;
    length.push((left & 0x7f) | (rest > 0 ? 0x80 : 0));
    left = rest;
  } while (left > 0);
  return Buffer.concat([Buffer.from([type, ...length]), body]);
}

/** MQTT by websocket: a room is a topic, everything at QoS 0, which promises nothing. */
export const mqtt: Dialect = {
  path: "/mqtt",
  subprotocol: "mqtt",
  opcode: OPCODE.binary,
  converse(user, rooms) {
    const flags = Buffer.from([PROTOCOL_LEVEL, CLEAN_SESSION, 0, 0]);
    const topics = rooms.flatMap((room) => [text(room), Buffer.from([0])]);
    return {
      start: () => [packet(CONNECT, text("MQTT"), flags, text(user))],
      hear(frame) {
        if (frame[0] === CONNACK && frame[3] !== 0) throw new Error(`Mosquitto refused: code ${frame[3]}`);
        const subscribes = frame[0] === CONNACK ? [packet(SUBSCRIBE, Buffer.from([0, 1]), ...topics)] : [];
        return { write: subscribes, joined: frame[0] === SUBACK };
      },
    };
  },
  publish: (room, data) => packet(PUBLISH, text(room), Buffer.from(data)),
};
