// Where the login page leads to: never to another server.

import assert from "node:assert/strict";
import { test } from "node:test";
import { placeAt } from "../../web/next.js";

const WALL = "http://pose.example:8080/pose/";

for (const [next, place] of [
  ["/pose/streams/door?a=b", `${WALL}streams/door?a=b`],
  ["/pose/", WALL],
  ["/elsewhere", WALL],
  ["//evil.example/pose/", WALL],
  ["/.//evil.example", WALL],
  ["/pose/..//evil.example", WALL],
  ["http://pose.example:8080//evil.example", WALL],
  ["http://pose.example:8080@evil.example/pose/", WALL],
  ["\\\\evil.example", WALL],
  ["javascript:alert(1)", WALL],
  ["http://[", WALL],
  ["", WALL],
]) {
  test(`${next} leads to ${place}`, () => assert.equal(placeAt(WALL, next), place));
}

test("without a prefix no path is another server", () => {
  for (const next of ["/.//evil.example", "/..//evil.example", "/.\\/evil.example"]) {
    const place = placeAt("http://pose.example/", next);
    assert.equal(new URL(place, "http://pose.example/login").origin, "http://pose.example");
  }
});
