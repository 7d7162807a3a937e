import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { eventually } from "./eventually.ts";
import { startProgram } from "./program.ts";
import { redisUrl } from "./run-redis.ts";
import { API_KEY, JWT_SECRET } from "./token.ts";
import { connectWitness } from "./witness.ts";

/** Runs examples/typescript/server.ts, compiled, and looks whether it does all that it says. */
export async function serveFrom(script: string): Promise<void> {
  const program = startProgram([script], {
    env: {
      PORT: "0",
      ADMIN_PORT: "0",
      REDIS_URL: redisUrl(),
      REDIS_PREFIX: `t${randomUUID().slice(0, 8)}`,
      JWT_SECRET,
      API_KEYS: API_KEY,
      DRAIN_SECONDS: "0",
    },
  });
  const [, port] = await program.until(/^listening on (\d+)$/);
  const url = `http://127.0.0.1:${port}`;
  const ada = await connectWitness(url, { claims: { sub: "ada" } });
  expect(await ada.socket.emitWithAck("whoami")).toBe("ada");
  await ada.ok("joinRoom", { room: "orders:7" });
  expect((await ada.refused("joinRoom", { room: "chat:staff" })).error.message).toBe("staff only");
  const shipped = await fetch(`${url}/orders/7/shipped`, { method: "POST" });
  expect(await shipped.json()).toEqual({ seq: 1 });
  await ada.ok("sendMessage", { room: "orders:7", data: "  thanks  " });
  expect((await ada.refused("sendMessage", { room: "orders:7", data: 7 })).error.message).toBe("data must be a text");
  await eventually(() => {
    expect(ada.of("message").map(({ data }) => data)).toEqual([{ state: "shipped" }, "thanks"]);
    expect(program.lines).toContain("stored orders:7 2");
  });
  const history = await fetch(`${url}/v1/rooms/orders:7/messages`, { headers: { authorization: `Bearer ${API_KEY}` } });
  expect(history.status).toBe(200);
  expect(await program.stop()).toBe(0);
}
