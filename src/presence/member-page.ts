import { RoomcastError } from "../errors.ts";
import { BOUNDS } from "../protocol.ts";

/** Members that a join tells of; the rest is for `getMembers`. */
export const SHOWN_MEMBERS = BOUNDS.pageMembers;

/** Where a page begins: the version with which its predecessor's last member came. Throws `bad_request`. */
export function pageCursor(cursor: string | undefined): number {
  if (cursor === undefined) return 0;
  if (!/^[1-9]\d{0,14}$/.test(cursor)) throw new RoomcastError("bad_request", "cursor is not one that getMembers gave");
  return Number(cursor);
}

export function pageLimit(limit: number): number {
  return Math.max(1, Math.min(limit, BOUNDS.pageMembers));
}
