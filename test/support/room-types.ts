import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Writes a file for `ROOM_TYPES`; `remove` it when the test ends. */
export async function roomTypesFile(types: object): Promise<{ path: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "roomcast-room-types-"));
  const path = join(folder, "room-types.json");
  await writeFile(path, JSON.stringify(types));
  return { path, remove: () => rm(folder, { recursive: true, force: true }) };
}
