import { expect, it } from "vitest";
import { Mover } from "../../src/webhooks/mover.ts";
import type { Taken } from "../../src/webhooks/outbox.ts";
import { eventually } from "../support/eventually.ts";

/** With a pause after each, fifty turns would take ten seconds. */
const TURNS = 50;

it("[G4] a room that holds more than one turn takes is emptied turn by turn, without a pause between them", async () => {
  let left = TURNS;
  const mover = new Mover({
    outbox: {
      take: async (): Promise<Taken> => {
        left -= 1;
        return { kind: "taken", entries: [], dropped: 0, more: left > 0 };
      },
      release: async () => undefined,
      claimDue: async () => [],
      retire: async () => undefined,
    },
    deliver: async () => undefined,
    tend: async () => true,
    look: async () => undefined,
    dropped: expect.fail,
    failed: expect.fail,
  });
  mover.start();
  mover.touched("chat:1");
  await eventually(() => expect(left).toBe(0));
  await mover.close(0);
});
