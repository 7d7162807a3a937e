import { describe, expect, test } from "vitest";
import { Places } from "../../src/socket/places.ts";

describe("[G9] places", () => {
  test("are counted for each user and for all, and are free again once given back, once each", () => {
    const places = new Places<object>(3, 2);
    const [first, second, third, fourth] = [{}, {}, {}, {}];
    places.take(first, "ada");
    places.take(second, "ada");
    places.take(second, "ada");
    expect(() => places.take(third, "ada")).toThrow("ada has 2 connections to this node");
    places.take(third, "bob");
    expect(() => places.take(fourth, "eve")).toThrow("this node has as many connections as it may have");
    places.give(first);
    places.give(first);
    places.take(fourth, "ada");
    expect(() => places.take(first, "eve")).toThrow("this node has as many");
    for (const holder of [second, third, fourth]) places.give(holder);
    for (const user of ["eve", "eve", "bob"]) places.take({}, user);
    expect(() => places.take({}, "ada")).toThrow("this node has as many");
  });
});
