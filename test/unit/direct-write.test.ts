import { Socket as TcpSocket } from "node:net";
import { expect, it } from "vitest";
import { DirectWrite } from "../../src/socket/direct-write.ts";

/** As Engine.IO's, with a TCP socket under the transport that is connected to nothing. */
function connection() {
  const transport = (name: string) => ({ name, writable: true, socket: { _socket: new TcpSocket() } });
  const engine = {
    ...{ readyState: "open", upgrading: false, writeBuffer: [] as unknown[] },
    transport: transport("websocket"),
  };
  return { engine, transport, direct: new DirectWrite(engine) };
}

it("is free while Engine.IO holds nothing, and not looked at again before it was given something", () => {
  const { engine, direct } = connection();
  expect(direct.free?.socket).toBe(engine.transport.socket._socket);
  // A ping of its own.
  engine.transport.writable = false;
  expect(direct.free).toBeDefined();
  engine.writeBuffer.push("an attachment");
  direct.doubt();
  expect(direct.free).toBeUndefined();
  engine.transport.writable = true;
  expect(direct.free).toBeUndefined();
  engine.writeBuffer.pop();
  expect(direct.free).toBeDefined();
});

it("is not free once the connection closes, whoever was told", () => {
  const { engine, direct } = connection();
  expect(direct.free).toBeDefined();
  engine.readyState = "closing";
  expect(direct.free).toBeUndefined();
});

it("goes by the transport that the connection has now", () => {
  const { engine, transport, direct } = connection();
  const first = direct.free;
  expect(first?.isClear).toBe(true);
  engine.transport = transport("websocket");
  direct.doubt();
  expect(first?.isClear).toBe(false);
  expect(direct.free?.socket).toBe(engine.transport.socket._socket);
  expect(direct.free).not.toBe(first);
  engine.transport = transport("polling");
  expect(direct.free).toBeUndefined();
  expect(direct.writer).toBeUndefined();
});

it("has no way past an upgrade under way, nor past something that is not Engine.IO's", () => {
  const { engine, direct } = connection();
  engine.upgrading = true;
  expect(direct.free).toBeUndefined();
  engine.upgrading = false;
  engine.transport.writable = false;
  expect(direct.free).toBeUndefined();
  engine.transport.writable = true;
  expect(direct.free).toBeDefined();
  expect(new DirectWrite({ readyState: "open" }).free).toBeUndefined();
});
