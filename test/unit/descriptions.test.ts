import { Parser } from "@asyncapi/parser";
import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { CALLS, type CallRow } from "../../src/calls.ts";
import { asyncApi } from "../../src/description/asyncapi.ts";
import { eventsPage } from "../../src/description/events-page.ts";
import { openApi } from "../../src/description/openapi.ts";
import { EVENTS } from "../../src/payloads.ts";
import { REQUESTS } from "../../src/protocol.ts";

const SEVERITY_ERROR = 0;

interface OpenApi {
  paths: Record<string, Record<string, { operationId: string; parameters: { name: string; required: boolean }[] }>>;
}

describe("/openapi.json", () => {
  it("is valid OpenAPI, and has every call of the table", async () => {
    const description = openApi();
    const { valid, errors } = await new Validator().validate(structuredClone(description));
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
    const { paths } = description as unknown as OpenApi;
    for (const [name, row] of Object.entries<CallRow>(CALLS)) {
      const operation = paths[row.path]?.[row.method];
      expect(operation?.operationId).toBe(name);
      const inPath = [...row.path.matchAll(/\{(\w+)\}/g)].map(([, param]) => param);
      expect(operation?.parameters.filter(({ required }) => required).map((param) => param.name)).toEqual(inPath);
    }
  });

  it("tells bounds and defaults of the schemas that check, and data as required", () => {
    const text = JSON.stringify(openApi().paths);
    expect(text).toContain('"name":"limit","in":"query","required":false,"schema":{"default":50,"type":"integer"');
    expect(text).toContain('"maxLength":200');
    expect(text).toContain('"required":["data"]');
  });
});

describe("/asyncapi.json", () => {
  it("is valid AsyncAPI, and has every request and event", async () => {
    const { document, diagnostics } = await new Parser().parse(JSON.stringify(asyncApi()));
    expect(diagnostics.filter(({ severity }) => severity === SEVERITY_ERROR)).toEqual([]);
    const names = document
      ?.operations()
      .all()
      .map((operation) => operation.id());
    expect(names?.toSorted()).toEqual([...Object.keys(REQUESTS), ...Object.keys(EVENTS)].toSorted());
  });

  it("is shown as a page with every name, and nothing in it that runs", () => {
    const page = eventsPage(asyncApi());
    for (const name of [...Object.keys(REQUESTS), ...Object.keys(EVENTS)]) expect(page).toContain(`id="${name}"`);
    expect(page).not.toMatch(/<script|style=| on\w+=/);
  });
});
