export interface Option {
  readonly meaning: string;
  /** Where its value goes in the config of the script's file, which has the default. */
  readonly paths: readonly (readonly (string | number)[])[];
}

export interface Script {
  readonly does: string;
  /** Its options that are numbers, all whole and from 1. */
  readonly options: Readonly<Record<string, Option>>;
}

const inPhase = (key: string) => ["phases", 0, key] as const;
const variable = (name: string) => ["variables", name] as const;

const RATE: Option = { meaning: "virtual users that come per second", paths: [inPhase("arrivalRate")] };
const STAY: Option = { meaning: "seconds that each stays", paths: [variable("staySeconds")] };
const ROOM_SIZE: Option = { meaning: "members that a room has at once, at most", paths: [variable("roomSize")] };
const SEND_EVERY: Option = {
  meaning: "milliseconds between two messages of a virtual user",
  paths: [variable("sendEveryMs")],
};
const CHARACTERS: Option = { meaning: "characters in a message", paths: [variable("characters")] };
const MEMBERS: Option = {
  meaning: "virtual users, who come within 5 s",
  paths: [inPhase("arrivalCount"), variable("members")],
};

/** What `npm run load -- SCRIPT` runs, each from the file of its name. */
export const SCRIPTS: Readonly<Record<string, Script>> = {
  chat: {
    does: "join rooms, talk, type and leave",
    options: {
      rate: RATE,
      duration: { meaning: "seconds for which they come", paths: [inPhase("duration")] },
      stay: STAY,
      "room-size": ROOM_SIZE,
      "send-every": SEND_EVERY,
      characters: CHARACTERS,
    },
  },
  "presence-storm": {
    does: "come and go fast, and know who is there",
    options: {
      members: { ...MEMBERS, paths: [inPhase("arrivalCount")] },
      duration: { meaning: "seconds for which each comes and goes", paths: [variable("durationSeconds")] },
      "visit-ms": { meaning: "milliseconds that a visit lasts, on average", paths: [variable("visitMs")] },
      "room-size": ROOM_SIZE,
    },
  },
  broadcast: {
    does: "one of each room speaks, all others listen",
    options: {
      members: MEMBERS,
      listeners: { meaning: "listeners of each speaker", paths: [variable("listeners")] },
      duration: { meaning: "seconds for which the speakers speak", paths: [variable("durationSeconds")] },
      "send-every": { ...SEND_EVERY, meaning: "milliseconds between two messages of a speaker" },
      characters: CHARACTERS,
    },
  },
  "reconnect-storm": {
    does: "talk, and lose all connections at once, again and again",
    options: {
      members: MEMBERS,
      "room-size": ROOM_SIZE,
      storms: { meaning: "times that all connections are lost", paths: [variable("storms")] },
      every: { meaning: "seconds between two storms", paths: [variable("everySeconds")] },
      "send-every": SEND_EVERY,
      characters: CHARACTERS,
    },
  },
  soak: {
    does: "chat for long, and be as quick at the end as at the beginning",
    options: {
      rate: RATE,
      duration: { meaning: "seconds for which they come", paths: [inPhase("duration"), variable("durationSeconds")] },
      stay: STAY,
      "room-size": ROOM_SIZE,
      "send-every": SEND_EVERY,
      characters: CHARACTERS,
    },
  },
};

/** Run where no script is named. */
export const DEFAULT_SCRIPT = "chat";

/** Words that are no numbers: for every script, but where `of` names one. */
export const TEXT_OPTIONS: Readonly<Record<string, { readonly meaning: string; readonly of?: string }>> = {
  target: { meaning: "http or https address of the balancer or of a node" },
  report: { meaning: "file to write all metrics to, as JSON" },
  "metrics-port": { meaning: "port on which Prometheus may fetch the metrics while it runs" },
  admin: { meaning: "admin addresses of the nodes, by comma: their memory and event loop are watched", of: "soak" },
};

/** The name by which artillery finds the plugin of `--metrics-port`, a file beside this one. */
export const PLUGIN = "metrics-endpoint.ts";
