import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { describe, expect, it, onTestFinished } from "vitest";
import { freePort } from "../../src/local/ports.ts";
import { type Endpoint, parseEndpoints } from "../../src/webhooks/endpoints.ts";
import { postSigned } from "../../src/webhooks/post.ts";
import { webhookSecret } from "../support/webhook-receiver.ts";

const SECRETS = [webhookSecret(), webhookSecret()];
const NEVER = new AbortController().signal;

function endpointAt(url: string, timeoutMs = 5_000): Endpoint {
  const one = { url, secrets: SECRETS, events: ["message.sent"], timeoutMs };
  const result = parseEndpoints({ one }, true);
  const endpoint = result.ok ? result.endpoints[0] : undefined;
  if (endpoint === undefined) throw new Error("not an endpoint");
  return endpoint;
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`;
}

describe("[G7] a delivery", () => {
  it("is signed by each secret, as the package of the standard verifies it", async () => {
    const seen: { headers: Record<string, string>; body: string }[] = [];
    const url = await serve((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        seen.push({ headers: request.headers as Record<string, string>, body });
        response.end();
      });
    });
    await postSigned(endpointAt(url), "msg_1", '{"a":"☃"}', NEVER);
    const [one] = seen;
    if (one === undefined) throw new Error("nothing came");
    for (const secret of SECRETS) expect(new Webhook(secret).verify(one.body, one.headers)).toEqual({ a: "☃" });
    expect(() => new Webhook(SECRETS[0] ?? "").verify(`${one.body} `, one.headers)).toThrow();
    expect(() => new Webhook(webhookSecret()).verify(one.body, one.headers)).toThrow();
    expect(one.headers["webhook-id"]).toBe("msg_1");
  });

  it("follows no redirect, and takes nothing but 2xx", async () => {
    const paths: (string | undefined)[] = [];
    let status = 307;
    const url = await serve((request, response) => {
      paths.push(request.url);
      response.writeHead(status, { location: "/elsewhere" }).end("why");
    });
    for (status of [302, 307, 404, 410, 500]) {
      await expect(postSigned(endpointAt(url), "msg_1", "{}", NEVER)).rejects.toThrow(
        `the endpoint answered ${status}`,
      );
    }
    expect(paths).toEqual(["/in", "/in", "/in", "/in", "/in"]);
  });

  it("is taken once 2xx came, though the answer behind it breaks", async () => {
    let asked = 0;
    const url = await serve((_request, response) => {
      asked += 1;
      response.writeHead(asked === 1 ? 200 : 500, { "content-length": 100 }).write("half of");
      setImmediate(() => response.destroy());
    });
    await postSigned(endpointAt(url), "msg_1", "{}", NEVER);
    await expect(postSigned(endpointAt(url), "msg_1", "{}", NEVER)).rejects.toThrow("the endpoint answered 500");
  });

  it("ends in its time, whatever is not answered, and reads no answer without end", async () => {
    const silent = await serve(() => undefined);
    await expect(postSigned(endpointAt(silent, 100), "msg_1", "{}", NEVER)).rejects.toThrow(
      "the endpoint did not answer in 100 ms",
    );
    const endless = await serve((_request, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(1_000)));
      };
      response.on("drain", more);
      more();
    });
    await postSigned(endpointAt(endless), "msg_1", "{}", NEVER);
    const nobody = endpointAt(`http://127.0.0.1:${await freePort()}/in`);
    await expect(postSigned(nobody, "msg_1", "{}", NEVER)).rejects.toThrow(
      "the endpoint could not be reached (ECONNREFUSED)",
    );
    const stop = new AbortController();
    const stopped = postSigned(endpointAt(silent), "msg_1", "{}", stop.signal);
    stop.abort();
    await expect(stopped).rejects.toThrow("this node stopped");
  });
});
