import { createHmac, randomUUID } from "node:crypto";
import * as z from "zod";
import { answerText } from "./answer-text.ts";
import { type Grant, grantsSchema, type Permission, type PermissionBits, permissionBits } from "./permissions.ts";

/** What the application's server is asked. It answers for all permissions at once; `permission` is the one needed now. */
export interface Question {
  readonly user: string;
  readonly room: string;
  readonly permission: Permission;
}

export interface Answer {
  readonly bits: PermissionBits;
  /** For how long this holds, in milliseconds. */
  readonly holdsMs: number;
}

/** What somebody may do in a room, and for how long that holds: 60 s by default, at most an hour. A `false` is a no. */
export type Authorized = { readonly permissions: readonly Grant[]; readonly holdSeconds?: number } | false;

export interface ApplicationAddress {
  readonly url: URL;
  /** What questions are signed with. */
  readonly secret: Uint8Array;
}

const DEFAULT_HOLD_SECONDS = 60;
const MAX_HOLD_SECONDS = 3_600;
/** How long a plain no holds, in milliseconds. */
const NO_HOLDS_MS = 5_000;
/** Most bytes of an answer. */
const MAX_ANSWER_BYTES = 16 * 1024;

const answerSchema = z.object({
  permissions: grantsSchema,
  holdSeconds: z.int().min(1).max(MAX_HOLD_SECONDS).default(DEFAULT_HOLD_SECONDS),
});

/** The headers of Standard Webhooks: whoever knows the secret can tell that the question is a node's, and is new. */
export function signature(secret: Uint8Array, id: string, seconds: number, body: string): Record<string, string> {
  const signed = createHmac("sha256", secret).update(`${id}.${seconds}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": String(seconds), "webhook-signature": `v1,${signed}` };
}

/**
 * Asks by `POST` and a JSON body. 200 with `{permissions, holdSeconds?}` is an answer, and 403 a no. Rejects with anything
 * else that comes, and where nothing comes before the signal.
 */
export async function askBySignedPost(
  { url, secret }: ApplicationAddress,
  question: Question,
  signal: AbortSignal,
): Promise<Answer> {
  const body = JSON.stringify(question);
  const response = await fetch(url, {
    method: "POST",
    body,
    redirect: "error",
    signal,
    headers: {
      "content-type": "application/json",
      ...signature(secret, randomUUID(), Math.floor(Date.now() / 1_000), body),
    },
  });
  if (response.status === 403) {
    await response.body?.cancel();
    return { bits: 0, holdsMs: NO_HOLDS_MS };
  }
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the application's server answered ${response.status}`);
  }
  return answerOf(JSON.parse(await answerText(response, MAX_ANSWER_BYTES)));
}

/** The answer in what the application said; `false` is a no, too. Throws where it is neither. */
export function answerOf(said: unknown): Answer {
  if (said === false) return { bits: 0, holdsMs: NO_HOLDS_MS };
  const answer = answerSchema.safeParse(said);
  if (!answer.success) throw new Error("the application answered no permissions", { cause: answer.error });
  const bits = permissionBits(answer.data.permissions);
  return { bits, holdsMs: bits === 0 ? NO_HOLDS_MS : answer.data.holdSeconds * 1_000 };
}
