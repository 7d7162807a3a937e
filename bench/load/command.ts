export type DialectName = "roomcast" | "socketio" | "ws" | "nats" | "mqtt";

/** One client: where it connects, and the rooms that it enters. */
export interface ClientPlan {
  readonly port: number;
  readonly rooms: readonly string[];
}

/** Clients connect, say who they are, and enter their rooms; so many at the same time. */
export interface OpenCommand {
  readonly do: "open";
  /** The clients under this name; those that were dropped connect anew, each with what it knows. */
  readonly group: string;
  readonly dialect: DialectName;
  readonly clients: readonly ClientPlan[];
  readonly atOnce: number;
  /** How many messages each client must have got before it counts as back: what it missed. */
  readonly missed?: number;
}

export interface Opened {
  readonly clients: number;
  readonly seconds: number;
  /** Messages that came while they joined. */
  readonly messages: number;
}

/** Clients of a group send messages to their rooms. */
export interface PublishCommand {
  readonly do: "publish";
  readonly group: string;
  /** Messages that one client writes at once. */
  readonly perTurn: number;
  readonly turnsPerSecond: number;
  readonly turns: number;
  /** Whether turns come at even distances or at random ones (Poisson). */
  readonly arrivals: "even" | "random";
  /** Bytes of a message's data. */
  readonly bytes: number;
  /** How many clients receive each message; the run lasts until all have. */
  readonly receivers: number;
  /** The clients of the group that send, in turns: the first one alone, or all. */
  readonly senders: "first" | "all";
}

export interface Published {
  readonly sent: number;
  readonly received: number;
  /** From writing a message to reading it, in milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** CPU that the load itself took, in seconds. */
  readonly loadSeconds: number;
}

/** Ends the connections of a group: in order, or as if the network was lost. */
export interface DropCommand {
  readonly do: "drop";
  readonly group: string;
  readonly how: "leave" | "cut";
}

export type Command = OpenCommand | PublishCommand | DropCommand;

export type Answer = { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: string };
