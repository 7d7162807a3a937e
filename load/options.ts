interface Option {
  readonly meaning: string;
  /** Where its value goes in the config of chat.yml, which has the default. */
  readonly path: readonly (string | number)[];
}

/** The options of `npm run load` that are numbers. */
export const OPTIONS: Readonly<Record<string, Option>> = {
  rate: { meaning: "virtual users that come per second", path: ["phases", 0, "arrivalRate"] },
  duration: { meaning: "seconds for which they come", path: ["phases", 0, "duration"] },
  stay: { meaning: "seconds that each stays", path: ["variables", "staySeconds"] },
  "room-size": { meaning: "members that a room has at once, at most", path: ["variables", "roomSize"] },
  "send-every": { meaning: "milliseconds between two messages of a virtual user", path: ["variables", "sendEveryMs"] },
  characters: { meaning: "characters in a message", path: ["variables", "characters"] },
};
