// The stages that a frame passes, with whatever an older server leaves out.

import assert from "node:assert/strict";
import { test } from "node:test";
import { spanWords, stagesOf, sumOf } from "../../web/latency.js";

const SERVER = { decode: 2, queue: 1, pose: 12, draw: 1, total: 16 };
const LINK = { received: 0, roundTrip_ms: 4, encode_ms: 6, play_ms: 5 };
const keys = (stages) => stages.map(({ key }) => key);

test("the webcam's stages stand in the order in which a frame passes them", () => {
  const stages = stagesOf(SERVER, { encode: 2, send: 1 }, LINK, 40);
  const order = "camera network decode queue pose draw encode send play other".split(" ");
  assert.deepEqual(keys(stages), order);
  assert.equal(sumOf(stages), 40);
});

test("a viewer's begin at the server, and half a round trip brings the picture", () => {
  const stages = stagesOf(SERVER, { encode: 2, send: 1 }, { ...LINK, encode_ms: null }, null);
  assert.deepEqual(keys(stages), "decode queue pose draw encode send network play".split(" "));
  assert.equal(stages.find(({ key }) => key === "network").ms, 2);
});

test("an older server's stages are all that there is", () => {
  const stages = stagesOf({ queue: 1, pose: 12, draw: 1, total: 16 }, {}, null, null);
  assert.deepEqual(keys(stages), ["queue", "pose", "draw", "other"]);
  assert.equal(sumOf(stages), 16);
  assert.deepEqual(stagesOf({}, {}, null, null), []);
});

test("a whole that is less than its parts has no rest", () => {
  assert.ok(!keys(stagesOf(SERVER, {}, LINK, 10)).includes("other"));
});

test("the words say where the figure begins", () => {
  assert.match(spanWords("capture", true, "off"), /camera's capture.*this screen/);
  assert.match(spanWords("arrival", false, "packets"), /arrival at the server/);
  assert.match(spanWords("arrival", false, "alone"), /landmarks on screen/);
  assert.match(spanWords(null, true, "off"), /sum.*from your camera/);
});
