// The processor of soak.yml.
import { chat } from "./chat.mts";
import { compared, Span, watchNodes } from "./endurance.ts";
import { type Context, type Metrics, numbersOf } from "./virtual-user.ts";

/** From the first virtual user of this thread on. */
let span: Span | undefined;

/** The stay of a chat, with its latencies compared; the first virtual user of a thread watches the nodes, too. */
export async function soak(context: Context, metrics: Metrics): Promise<void> {
  const { durationSeconds, staySeconds } = numbersOf(context, ["durationSeconds", "staySeconds"]);
  const now = performance.now();
  const isFirst = span === undefined;
  span ??= new Span(now + staySeconds * 1_000, now + durationSeconds * 1_000);
  const admin = String(context.vars.admin ?? "");
  const adminUrls = admin.split(",").filter((url) => url !== "");
  const watching = isFirst ? watchNodes(adminUrls, span, metrics) : undefined;
  await Promise.all([chat(context, compared(metrics, span)), watching]);
}
