import type { JsonSchema } from "./json-schema.ts";

const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

function escaped(text: unknown): string {
  return String(text).replaceAll(/[&<>"]/g, (character) => ESCAPES[character] ?? "");
}

interface Described {
  readonly channels: { readonly socket: { readonly messages: Readonly<Record<string, JsonSchema>> } };
  readonly operations: Readonly<Record<string, JsonSchema>>;
}

/** The AsyncAPI document as one page of HTML, without a script. */
export function eventsPage(asyncApi: JsonSchema): string {
  const { channels, operations } = asyncApi as JsonSchema & Described;
  const { messages } = channels.socket;
  const section = (name: string): string => {
    const ack = messages[`${name}.ack`];
    return [
      `<section id="${escaped(name)}"><h3>${escaped(name)}</h3><p>${escaped(operations[name]?.summary)}</p>`,
      schema("payload", messages[name]),
      ack === undefined ? "" : schema("acknowledgement", ack),
      "</section>",
    ].join("\n");
  };
  const named = (action: string) => Object.keys(operations).filter((name) => operations[name]?.action === action);
  const part = (title: string, names: readonly string[]) =>
    `<h2>${title}</h2>\n<ul>${names.map((name) => `<li><a href="#${escaped(name)}">${escaped(name)}</a></li>`).join("")}</ul>\n${names.map(section).join("\n")}`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Roomcast: requests and events</title>
<link rel="stylesheet" href="./events.css"><link rel="icon" href="data:,">
<h1>Roomcast: requests and events</h1>
<p>Over Socket.IO, as <a href="../asyncapi.json">asyncapi.json</a> has them. <a href="./">The HTTP API</a></p>
${part("Requests", named("receive"))}
${part("Events", named("send"))}
</html>
`;
}

function schema(title: string, message: JsonSchema | undefined): string {
  const text = JSON.stringify(message?.payload, undefined, 2);
  return `<details><summary>${title}</summary><pre>${escaped(text)}</pre></details>`;
}
