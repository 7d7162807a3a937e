import { createSocket } from "node:dgram";
import { expect, it, onTestFinished, vi } from "vitest";
import { freePort } from "../../src/local/ports.ts";

/** Others on this machine start servers, too. */
async function areFree(...ports: readonly number[]): Promise<boolean> {
  return (await Promise.all(ports.map(async (port) => (await freePort(port)) === port))).every(Boolean);
}

it("a port is given once, whichever process asked for it before", async () => {
  let first = 0;
  do first = await freePort();
  while (!(await areFree(first + 1, first + 2, first + 3)));
  const random = vi.spyOn(Math, "random");
  onTestFinished(() => random.mockRestore());
  const [there, next] = [first - 12_000, first - 11_999].map((offset) => (offset + 0.5) / 20_000);
  random.mockReturnValueOnce(there ?? 0).mockReturnValueOnce(next ?? 0);
  expect(await freePort()).toBe(first + 1);

  const elsewhere = createSocket("udp4");
  onTestFinished(() => new Promise<void>((resolve) => void elsewhere.close(resolve)));
  await new Promise<void>((resolve) => elsewhere.bind({ port: first + 2, address: "127.0.0.1" }, resolve));
  const [taken, after] = [first - 11_998, first - 11_997].map((offset) => (offset + 0.5) / 20_000);
  random.mockReturnValueOnce(taken ?? 0).mockReturnValueOnce(after ?? 0);
  expect(await freePort()).toBe(first + 3);
});
