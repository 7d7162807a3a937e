import { RoomcastError } from "../errors.ts";
import { BOUNDS } from "../protocol.ts";

/**
 * The JSON text of what somebody sent. Throws `bad_request` for what JSON cannot carry and `payload_too_large`, both
 * naming the field.
 */
export function encodeJson(field: string, value: unknown, maxBytes: number): string {
  requireJson(field, value, 0);
  const json = textOf(value);
  if (json === undefined) throw new RoomcastError("bad_request", `${field} must be JSON`);
  const bytes = Buffer.byteLength(json);
  if (bytes > maxBytes) {
    throw new RoomcastError("payload_too_large", `${field} has ${bytes} bytes once encoded, ${maxBytes} are allowed`);
  }
  return json;
}

/** Undefined for what has no text: code that embeds a node may hand over functions, or a bigint. */
function textOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** Binary has no place in the log, and too deep a nesting would exhaust the stack of whoever walks it. */
function requireJson(field: string, value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) {
    throw new RoomcastError("bad_request", `${field} must be JSON, and has binary in it`);
  }
  requireDepth(field, depth);
  for (const item of Object.values(value)) requireJson(field, item, depth + 1);
}

/** Throws `bad_request` where a value is nested deeper than anybody should have to walk. */
export function requireDepth(field: string, depth: number): void {
  if (depth < BOUNDS.jsonDepth) return;
  throw new RoomcastError("bad_request", `${field} is nested more than ${BOUNDS.jsonDepth} levels deep`);
}
