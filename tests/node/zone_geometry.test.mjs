// Where a click on the page is in the picture: with bars beside it or above it, and mirrored.

import assert from "node:assert/strict";
import { test } from "node:test";
import { areNear, contained, placeAt } from "../../web/zone_geometry.js";

const WIDE = { width: 1280, height: 720 };
const TALL = { width: 480, height: 640 };
const BOX = { width: 400, height: 400 };

test("a wide picture has bars above and below it, a tall one at its sides", () => {
  assert.deepEqual(contained(BOX, WIDE), { left: 0, top: 87.5, width: 400, height: 225 });
  assert.deepEqual(contained(BOX, TALL), { left: 50, top: 0, width: 300, height: 400 });
});

test("the middle is the middle, and a quarter is a quarter of the picture, not of its box", () => {
  assert.deepEqual(placeAt({ x: 200, y: 200 }, BOX, WIDE, false), [0.5, 0.5]);
  assert.deepEqual(placeAt({ x: 100, y: 87.5 + 225 / 4 }, BOX, WIDE, false), [0.25, 0.25]);
  assert.deepEqual(placeAt({ x: 50 + 300 / 4, y: 100 }, BOX, TALL, false), [0.25, 0.25]);
});

test("in a mirrored picture left is right, and up is up", () => {
  assert.deepEqual(placeAt({ x: 100, y: 87.5 + 225 / 4 }, BOX, WIDE, true), [0.75, 0.25]);
});

test("a click on a bar or near an edge is on the edge", () => {
  assert.deepEqual(placeAt({ x: 398, y: 20 }, BOX, WIDE, false), [1, 0]);
  assert.deepEqual(placeAt({ x: 3, y: 390 }, BOX, WIDE, false), [0, 1]);
  assert.deepEqual(placeAt({ x: 3, y: 200 }, BOX, WIDE, true), [1, 0.5]);
});

test("points are near when they are so on the page", () => {
  assert.ok(areNear([0.5, 0.5], [0.52, 0.5], BOX, WIDE)); // 8 px
  assert.ok(!areNear([0.5, 0.5], [0.55, 0.5], BOX, WIDE)); // 20 px
  assert.ok(areNear([0.5, 0.5], [0.55, 0.5], { width: 100, height: 100 }, WIDE)); // 5 px
});
