import type { WirePosition } from "../src/protocol.ts";
import type { Departure, Fault } from "./fault.ts";

/** All times are milliseconds since the run began. */
export interface Observations {
  readonly clients: readonly ClientRecord[];
  readonly sent: readonly SentMessage[];
  readonly requests: readonly RequestRecord[];
  readonly faults: readonly FaultRecord[];
  /** What Redis holds of each room at the end, as clients can read it. */
  readonly rooms: ReadonlyMap<string, RoomAtEnd>;
  /** The longest time for which the kit itself was not scheduled: so much later it may have seen things. */
  readonly kitStallMs: number;
  readonly losesData: boolean;
}

/** A message as it is in the log and as it reaches members; its data is left out. */
export interface Entry {
  readonly seq: number;
  readonly ts: number;
  readonly id: string;
  readonly user: string;
}

/** What one client's code saw, in its order. */
export type Seen =
  | { readonly kind: "connected"; readonly at: number; readonly node: string }
  | { readonly kind: "disconnected"; readonly at: number; readonly reason: string }
  /** The node ended the connection, or refused it, with this error code: stock clients stay away by themselves. */
  | { readonly kind: "ending" | "refused"; readonly at: number; readonly code: string }
  | {
      readonly kind: "joined";
      readonly at: number;
      readonly room: string;
      /** The position that the request named. */
      readonly since: WirePosition | undefined;
      readonly recovered: boolean;
      readonly position: WirePosition;
      readonly messages: readonly Entry[];
      readonly members: readonly string[];
    }
  | { readonly kind: "message"; readonly at: number; readonly room: string; readonly entry: Entry }
  | { readonly kind: "resync"; readonly at: number; readonly room: string; readonly reason: string }
  | { readonly kind: "userJoined" | "userLeft"; readonly at: number; readonly room: string; readonly user: string }
  | { readonly kind: "members"; readonly at: number; readonly room: string; readonly members: readonly string[] }
  | { readonly kind: "stalled" | "restored"; readonly at: number };

export interface ClientRecord {
  readonly name: string;
  readonly user: string;
  readonly rooms: readonly string[];
  readonly seen: readonly Seen[];
  /** It began to go for good then. */
  readonly departed: { readonly at: number; readonly how: Departure } | undefined;
  /** What it has of each room that it is in at the end. */
  readonly end: ReadonlyMap<string, { readonly members: readonly string[] }>;
}

export interface SentMessage {
  readonly client: string;
  readonly room: string;
  readonly id: string;
  readonly firstAt: number;
  /** Of the first try. */
  readonly connection: string;
  readonly tries: number;
  /** Nothing while no answer was ok. `again`: the ack of the same id, sent once more after that one. */
  readonly acked: { readonly at: number; readonly seq: number; readonly ts: number } | undefined;
  readonly again: { readonly seq: number; readonly duplicate: boolean } | undefined;
}

export interface RequestRecord {
  readonly client: string;
  readonly name: string;
  readonly at: number;
  /** `lost` with the connection; `unanswered` though the connection stayed. */
  readonly outcome: "ok" | "lost" | "unanswered" | (string & {});
  readonly afterMs: number;
}

export interface FaultRecord {
  readonly fault: Fault;
  readonly from: number;
  /** Nothing where it never ended. */
  until: number | undefined;
}

export interface RoomAtEnd {
  readonly position: WirePosition;
  readonly log: readonly Entry[];
  readonly members: readonly string[];
}

/** Something that must not be. */
export interface Violation {
  readonly rule: Rule;
  readonly at: number;
  readonly text: string;
  readonly client?: string;
  readonly room?: string;
}

/** What is counted apart, with the guarantee of docs/spec.md that it breaks. */
export const RULES = {
  "not stored once": "G1",
  "not delivered": "G2",
  doubled: "G2",
  "out of order": "G2",
  "wrong stream": "G2",
  "told without need": "G5",
  "presence wrong": "G4",
  "shown leaving": "G5",
  "not back": "G5",
  "not answered": "G5",
} as const;
export type Rule = keyof typeof RULES;
