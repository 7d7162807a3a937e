import * as z from "zod";
import { EVENTS, errorPayload, REPLIES } from "../payloads.ts";
import { REQUESTS, type RequestName, type ServerEvents } from "../protocol.ts";
import { VERSION } from "../version.ts";
import { type JsonSchema, jsonSchema } from "./json-schema.ts";

const DOES: Readonly<Record<RequestName, string>> = {
  joinRoom: "enters a room, and goes on from since where that is possible",
  leaveRoom: "leaves it, without grace",
  sendMessage: "stores a message and sends it to everybody in the room",
  sendSignal: "sends something to the others in the room, at most once, and stores nothing",
  getHistory: "reads a page of the log",
  getMembers: "reads a page of who is there",
  setState: "replaces what the room knows of this user",
  renewToken: "goes on with a newer token of the same user",
  kickMember: "puts a user out of the room, and with banSeconds keeps them out",
  unbanMember: "lifts a ban",
  closeRoom: "puts everybody out of the room, and removes its messages",
};

const SAYS: Readonly<Record<keyof ServerEvents, string>> = {
  welcome: "who one is, on which node, until when, and the limits",
  message: "a message, in order; to its sender too",
  messageRemoved: "a message was taken back: forget what stands at that seq",
  signal: "a signal of somebody else",
  userJoined: "a user's first connection came",
  userLeft: "a user's last connection went",
  userUpdated: "a user has another state or name",
  presence: "a summary of these, once a second, in large rooms",
  resync: "the stream of messages has ended: join again and reload",
  stalled: "this node does not hear Redis, messages will be late",
  restored: "this node hears Redis again",
  removed: "the connection is out of a room",
  tokenExpiring: "the token ends in a minute",
  draining: "this node is going: the connection will move",
  ending: "the server disconnects for good, and why",
};

const refused = z.object({ ok: z.literal(false), id: z.string().optional(), error: errorPayload });

/** `/asyncapi.json`: requests and events, by the schemas that check them. */
export function asyncApi(): JsonSchema {
  const messages: Record<string, JsonSchema> = {};
  const operations: Record<string, JsonSchema> = {};
  const channel = { $ref: "#/channels/socket" };
  const message = (name: string) => ({ $ref: `#/channels/socket/messages/${name}` });
  for (const name of Object.keys(REQUESTS) as RequestName[]) {
    const ack = `${name}.ack`;
    messages[name] = { name, summary: DOES[name], payload: jsonSchema(REQUESTS[name], "input") };
    messages[ack] = { name: ack, summary: `the acknowledgement of ${name}`, payload: acknowledgement(name) };
    const reply = { channel, messages: [message(ack)] };
    operations[name] = { action: "receive", channel, summary: DOES[name], messages: [message(name)], reply };
  }
  for (const name of Object.keys(EVENTS) as (keyof ServerEvents)[]) {
    messages[name] = { name, summary: SAYS[name], payload: jsonSchema(EVENTS[name], "output") };
    operations[name] = { action: "send", channel, summary: SAYS[name], messages: [message(name)] };
  }
  return {
    asyncapi: "3.0.0",
    info: {
      title: "Roomcast",
      version: VERSION,
      description:
        "Requests of clients, each with an acknowledgement, and events to them, over Socket.IO in the namespace /. " +
        "Connect with auth: {token}. Times are Unix milliseconds; unknown fields are ignored.",
    },
    defaultContentType: "application/json",
    channels: { socket: { address: "/", title: "Socket.IO, namespace /", messages } },
    operations,
  };
}

function acknowledgement(name: RequestName): JsonSchema {
  const ok = jsonSchema(z.object({ ok: z.literal(true) }), "output");
  return { anyOf: [{ allOf: [ok, jsonSchema(REPLIES[name], "output")] }, jsonSchema(refused, "output")] };
}
