// Where hands and feet were in the last second, from messages made by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LANDMARK_NAMES } from "../../web/landmarks.js";
import { Trails } from "../../web/trails.js";

const TICKS_PER_S = 90_000;
const WRIST = LANDMARK_NAMES.indexOf("left wrist");

/** A message with one person whose left wrist is at x, or is not seen. */
function message(t_s, x, { id = 1, epoch = 1 } = {}) {
  const landmarks = LANDMARK_NAMES.map((_, index) =>
    index === WRIST && x !== null ? [x, 0.5, 0, 1, 1] : [0, 0, 0, 0, 0],
  );
  return { pts: t_s * TICKS_PER_S, epoch, poses: [{ id, score: 1, landmarks, world: [] }] };
}

function trailsOf(...messages) {
  const trails = new Trails();
  for (const each of messages) trails.add(each);
  return trails;
}

/** Each piece as its third and the x of its places. */
function read(trails, id = 1) {
  return trails.pieces(id).map(({ third, limb, path }) => {
    assert.equal(limb, WRIST);
    return [third, path.map(([x]) => x)];
  });
}

test("a trail is the last second in three pieces, each of which begins where the last one ends", () => {
  const times = [0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2];
  const trails = trailsOf(...times.map((t_s) => message(t_s, t_s)));
  assert.deepEqual(read(trails), [[0, [0.2, 0.4]], [1, [0.4, 0.6, 0.8]], [2, [0.8, 1.0, 1.2]]]);
});

test("it is broken where the limb was not seen, and while the person was not there", () => {
  const gone = message(0.4, null);
  assert.deepEqual(read(trailsOf(message(0, 1), message(0.2, 2), gone, message(0.6, 4))), [[1, [1, 2]]]);
  const other = message(0.4, 3, { id: 2 });
  assert.deepEqual(read(trailsOf(message(0, 1), message(0.2, 2), other, message(0.6, 4))), [[1, [1, 2]]]);
});

test("it begins anew with an epoch, after a gap, and when time runs back", () => {
  const before = [message(0.3, 1), message(0.5, 2)];
  for (const after of [message(0.6, 3, { epoch: 2 }), message(1.3, 3), message(0.1, 3)]) {
    assert.deepEqual(read(trailsOf(...before, after)), []);
  }
});

test("the same frame again changes nothing", () => {
  const twice = trailsOf(message(0, 1), message(0.2, 2), message(0.2, 2));
  assert.deepEqual(read(twice), [[2, [1, 2]]]);
});

test("what is remembered is bounded, and the newest place is always there", () => {
  const trails = new Trails();
  for (let number = 0; number < 2_000; number += 1) trails.add(message(number / 1000, number));
  const places = read(trails).flatMap(([, path]) => path);
  assert.ok(places.length < 24, String(places.length));
  assert.equal(places.at(-1), 1999);
});
