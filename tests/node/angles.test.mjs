// The page computes the angles that the server computes: the samples are those of tests/unit/test_angles.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { anglesOf, computeAngles } from "../../web/angles.js";
import { ANGLES } from "../../web/landmarks.js";

const SAMPLES = JSON.parse(readFileSync(new URL("../samples/angles.json", import.meta.url), "utf8"));

test("the names are those of the binary form, in its order", () => {
  const [sample] = SAMPLES;
  assert.deepEqual(Object.keys(computeAngles(sample, sample)), ANGLES);
  assert.deepEqual(Object.keys(sample.angles), ANGLES);
});

SAMPLES.forEach((sample, number) => {
  test(`the angles of sample ${number} are the server's`, () => {
    const found = computeAngles(sample, sample);
    for (const [name, [degrees, valid]] of Object.entries(sample.angles)) {
      assert.ok(Math.abs(found[name][0] - degrees) < 0.02, `${name}: ${found[name][0]} is not ${degrees}`);
      assert.equal(found[name][1], valid, name);
    }
  });
});

test("the message's own angles come first", () => {
  const [sample] = SAMPLES;
  const { angles, ...pose } = sample;
  assert.equal(anglesOf(sample, sample), angles);
  assert.deepEqual(anglesOf(pose, sample), computeAngles(pose, sample));
});

test("limbs without a length have a number that is not to be trusted", () => {
  const pose = { id: 1, score: 1, landmarks: Array(33).fill([0, 0, 0, 1, 1]), world: Array(33).fill([0, 0, 0]) };
  for (const [degrees, valid] of Object.values(computeAngles(pose, { width: 640, height: 480 }))) {
    assert.ok(Number.isFinite(degrees));
    assert.equal(valid, 0);
  }
});
