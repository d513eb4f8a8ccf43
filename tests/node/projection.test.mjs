// The 3D view's geometry: what is right, near or below in space is so on the canvas.

import assert from "node:assert/strict";
import { test } from "node:test";
import { projector, START, turned } from "../../web/projection.js";

const SIZE = { width: 300, height: 200 };
const FRONT = { yaw: 0, pitch: 0, distance_m: 3 };

test("the middle of the hips is in the middle of the canvas, wherever it is seen from", () => {
  for (const view of [FRONT, START, { yaw: 2, pitch: 1, distance_m: 5 }]) {
    const { x, y, depth_m } = projector(view, SIZE)([0, 0, 0]);
    assert.deepEqual([x, y, depth_m], [150, 100, view.distance_m]);
  }
});

test("from the front, x goes right, y goes down, and what is nearer is larger", () => {
  const project = projector(FRONT, SIZE);
  assert.ok(project([0.5, 0, 0]).x > 150);
  assert.ok(project([0, 0.5, 0]).y > 100);
  assert.ok(project([0, 0, -0.5]).scale > project([0, 0, 0.5]).scale);
  assert.equal(project([0.5, 0, 0]).y, 100);
});

test("a half turn shows the back: what was right is left, what was near is far", () => {
  const project = projector(turned(FRONT, { yaw: Math.PI }), SIZE);
  assert.ok(project([0.5, 0, 0]).x < 150);
  assert.ok(project([0, 0, -0.5]).depth_m > 3);
});

test("from above, what is farther away on the floor stands higher", () => {
  const project = projector({ ...FRONT, pitch: 0.5 }, SIZE);
  assert.ok(project([0, 1, 1]).y < project([0, 1, -1]).y);
});

test("a standing person, arms up, is whole in the first view", () => {
  const project = projector(START, { width: 360, height: 240 });
  for (const y of [-1, 0.95]) {
    const spot = project([0, y, 0]);
    assert.ok(spot.y > 0 && spot.y < 240, `${y} m is at ${spot.y} px`);
  }
});

test("nobody turns the world upside down, or goes through it", () => {
  const far = turned(FRONT, { pitch: 99, distance_m: 99 });
  assert.ok(far.pitch <= Math.PI / 2 && far.distance_m < 10);
  const near = turned(FRONT, { pitch: -99, distance_m: 0 });
  assert.ok(near.pitch > -Math.PI / 2 && near.distance_m > 1);
  const behind = projector(near, SIZE)([0, 0, -50]);
  assert.ok(behind.depth_m > 0 && Number.isFinite(behind.x));
});
