import type { Socket } from "socket.io";
import { RoomcastError } from "../errors.ts";
import { checkFields } from "../fields.ts";
import { idSchema, REQUESTS, type Replies, type Request, type RequestName } from "../protocol.ts";
import { Call } from "../room/call.ts";
import type { Connection } from "../room/connection.ts";
import { plainMessage } from "./plain-message.ts";

/** Serves one kind of request: answers by `call.answer`, or throws. Has validated fields; checks everything else. */
export type Verb<Name extends RequestName> = (
  connection: Connection,
  request: Request<Name>,
  call: Call<Replies[Name]>,
) => Promise<void>;

export type Verbs = { readonly [Name in RequestName]: Verb<Name> };

export interface DispatchOptions {
  /** The one deadline of a whole request, in milliseconds. */
  readonly timeoutMs: number;
  /** Most requests of one connection under way. */
  readonly maxPending: number;
  /** A request was answered with ok, after so long. */
  served(name: RequestName, seconds: number): void;
  refused(name: RequestName, connection: Connection, error: RoomcastError): void;
  /** A request was refused before its verb saw it; the payload is as it came. */
  unserved(name: RequestName, connection: Connection, payload: unknown): void;
  /** A handler threw something that is no answer: a bug, or a part that broke. */
  failed(name: RequestName, connection: Connection, error: unknown): void;
}

type Acknowledge = (reply: unknown) => void;

const withoutAck: Acknowledge = () => undefined;

/**
 * Serves a socket's requests, before whatever else is told of its events. Whoever embeds the node may listen to them as
 * well; events of other names are left to it.
 */
export function dispatch(socket: Socket, connection: Connection, verbs: Verbs, options: DispatchOptions): void {
  // One function for a connection: a listener for each request would be a kilobyte that every idle connection keeps.
  socket.use((event: readonly unknown[], next) => {
    // What came behind the client's own disconnect, in the same chunk: a join would be one that nobody leaves any more.
    if (!socket.connected) return;
    const [name, first] = event;
    if (!isRequestName(name)) {
      next();
      return;
    }
    const last = event.length > 1 ? event.at(-1) : undefined;
    const ack = typeof last === "function" ? answerOf(name, last as Acknowledge, connection) : withoutAck;
    const payload = typeof first === "function" ? undefined : first;
    serve(name, payload, ack, connection, verbs, options).catch((error: unknown) =>
      options.failed(name, connection, error),
    );
    // An embedding application may listen to it, too.
    if (socket.listenerCount(name) > 0) next();
  });
}

/**
 * Messages that came together are stored together, and their answers known together. Others are left alone: pages are large, and
 * what is corked counts as owed.
 */
function answerOf(name: RequestName, ack: Acknowledge, connection: Connection): Acknowledge {
  if (name !== "sendMessage") return ack;
  return (reply) => {
    if (connection.pending > 1) connection.port.moreFollows();
    ack(reply);
  };
}

function isRequestName(name: unknown): name is RequestName {
  return typeof name === "string" && Object.hasOwn(REQUESTS, name);
}

async function serve<Name extends RequestName>(
  name: Name,
  payload: unknown,
  ack: Acknowledge,
  connection: Connection,
  verbs: Verbs,
  options: DispatchOptions,
): Promise<void> {
  const started = performance.now();
  const call = new Call<Replies[Name]>((reply) => ack({ ok: true, ...reply }));
  let request: Request<Name> | undefined;
  connection.pending += 1;
  const deadline = setTimeout(() => call.end(new RoomcastError("unavailable")), options.timeoutMs);
  try {
    if (connection.pending > options.maxPending) {
      throw new RoomcastError(
        "rate_limited",
        `more than ${options.maxPending} requests are under way: await their acks`,
      );
    }
    request = parse(name, payload, connection);
    await verbs[name](connection, request, call);
    options.served(name, (performance.now() - started) / 1_000);
  } catch (error) {
    const refusal = error instanceof RoomcastError ? error : new RoomcastError("internal", undefined, { cause: error });
    if (refusal === error) options.refused(name, connection, refusal);
    else options.failed(name, connection, error);
    if (request === undefined) options.unserved(name, connection, payload);
    ack({ ok: false, ...idOf(name, request ?? payload), error: refusal.toWire() });
  } finally {
    clearTimeout(deadline);
    connection.pending -= 1;
  }
}

function parse<Name extends RequestName>(name: Name, payload: unknown, connection: Connection): Request<Name> {
  if (typeof payload !== "object" || payload === null || Array.isArray(payload) || ArrayBuffer.isView(payload)) {
    throw new RoomcastError("bad_request", `${name} takes one JSON object`);
  }
  // The request is the one of this name; the compiler cannot follow a generic key.
  const plain = name === "sendMessage" ? plainMessage(payload, connection.memberships) : undefined;
  if (plain !== undefined) return plain as Request<Name>;
  const checked = checkFields(REQUESTS[name], payload, "the request");
  if (!checked.ok) throw new RoomcastError("bad_request", checked.problems.join("; "));
  return checked.value as Request<Name>;
}

/** A failed `sendMessage` tells the id too, so that it can be sent again with the same one. */
function idOf(name: RequestName, request: unknown): { id: string } | undefined {
  if (name !== "sendMessage" || typeof request !== "object" || request === null || !("id" in request)) return undefined;
  const id = idSchema.safeParse(request.id);
  return id.success ? { id: id.data } : undefined;
}
