import { readFileSync } from "node:fs";
import { parseRoomTypes, RoomTypes } from "../auth/room-types.ts";
import { readFailure } from "../environment.ts";
import type { Values } from "../variables.ts";
import { type Endpoint, parseEndpoints } from "../webhooks/endpoints.ts";
import { inProduction } from "./rules.ts";

function readJson(
  variable: "ROOM_TYPES" | "WEBHOOKS",
  path: string,
): { ok: true; json: unknown } | { ok: false; problem: string } {
  try {
    return { ok: true, json: JSON.parse(readFileSync(path, "utf8")) };
  } catch (error) {
    // What is said of the text shows a piece of it, and among endpoints there may be secrets.
    const detail = error instanceof SyntaxError && variable !== "WEBHOOKS" ? ` (${error.message})` : "";
    const what = error instanceof SyntaxError ? `is not JSON${detail}` : `cannot be read (${readFailure(error)})`;
    return { ok: false, problem: `${variable} names a file that ${what}: ${path}` };
  }
}

/** The endpoints in the file of `WEBHOOKS`, none where it is not set, or what is wrong there. */
export function readWebhooks(values: Values): { endpoints: readonly Endpoint[]; problems: readonly string[] } {
  const path = values.WEBHOOKS;
  if (path === undefined) return { endpoints: [], problems: [] };
  const file = readJson("WEBHOOKS", path);
  if (!file.ok) return { endpoints: [], problems: [file.problem] };
  const result = parseEndpoints(file.json, inProduction(values));
  if (result.ok) return { endpoints: result.endpoints, problems: [] };
  return { endpoints: [], problems: result.problems.map((problem) => `WEBHOOKS (${path}): ${problem}`) };
}

/** The policies in the file of `ROOM_TYPES`, the built-in ones where it is not set, or what is wrong there. */
export function readRoomTypes(values: Values): { types: RoomTypes; problems: readonly string[] } {
  const presence = {
    upToMembers: values.PRESENCE_EVENTS_UP_TO_MEMBERS,
    againBelowMembers: values.PRESENCE_EVENTS_AGAIN_BELOW_MEMBERS,
  };
  const builtIn = new RoomTypes(presence);
  const path = values.ROOM_TYPES;
  if (path === undefined) return { types: builtIn, problems: [] };
  const file = readJson("ROOM_TYPES", path);
  if (!file.ok) return { types: builtIn, problems: [file.problem] };
  const result = parseRoomTypes(file.json, presence);
  if (result.ok) return { types: result.types, problems: [] };
  return { types: builtIn, problems: result.problems.map((problem) => `ROOM_TYPES (${path}): ${problem}`) };
}
