// Joint angles of poses made by hand, and their course over the last seconds.

import assert from "node:assert/strict";
import { test } from "node:test";
import { angleBetween, AngleHistory, jointAngle, JOINTS } from "../../web/angles.js";
import { LANDMARK_NAMES } from "../../web/landmarks.js";

const TICKS_PER_S = 90_000;
const [ELBOW] = JOINTS;

/** A pose whose named landmarks are seen at these places in space. */
function makePose(places) {
  const landmarks = LANDMARK_NAMES.map((name) => [0, 0, 0, name in places ? 1 : 0, 1]);
  return { id: 1, score: 1, landmarks, world: LANDMARK_NAMES.map((name) => places[name] ?? [0, 0, 0]) };
}

/** A left arm that is bent by so much, the upper arm along x. */
function arm(degrees) {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return makePose({
    "left shoulder": [0.3, 0.1, 0.2],
    "left elbow": [0, 0.1, 0.2],
    "left wrist": [0.25 * cos, 0.1 + 0.25 * sin, 0.2],
  });
}

function message(t_s, epoch = 1) {
  return { type: "pose", pts: t_s * TICKS_PER_S, epoch };
}

function near(actual, expected) {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} is not ${expected}`);
}

test("the angle is that between the limbs, from 0 to 180 degrees", () => {
  for (const degrees of [0, 30, 45, 90, 120, 179.99, 180]) {
    near(jointAngle(arm(degrees), ELBOW, "left"), degrees);
  }
});

test("neither the length of the limbs nor the place in space matters", () => {
  near(angleBetween([2, 0, 0], [0, 0, 0], [0, 0, 9]), 90);
  near(angleBetween([5, 5, 5], [5, 5, 4], [5, 6, 4]), 90);
  near(angleBetween([1, 0, 0], [0, 0, 0], [1, 1, 1]), 54.735610317245346);
});

test("limbs without a length have no angle", () => {
  assert.equal(angleBetween([1, 1, 1], [1, 1, 1], [0, 0, 0]), null);
});

test("every joint is measured on the side that it says", () => {
  const straight = { shoulder: 0, elbow: 1, wrist: 2, hip: 3, knee: 4, ankle: 5, "foot index": 6 };
  const places = Object.entries(straight).map(([name, at]) => [`right ${name}`, [0, at, 0]]);
  const pose = makePose(Object.fromEntries(places));
  // Shoulder, elbow and hip lie in one line downwards: the arm hangs, the shoulder's angle is 0.
  const expected = { elbow: 180, shoulder: 0, hip: 180, knee: 180, ankle: 180 };
  for (const joint of JOINTS) {
    near(jointAngle(pose, joint, "right"), expected[joint.key]);
    assert.equal(jointAngle(pose, joint, "left"), null);
  }
});

test("a joint with an unseen landmark has no angle", () => {
  const pose = arm(90);
  pose.landmarks[LANDMARK_NAMES.indexOf("left wrist")][3] = 0.49;
  assert.equal(jointAngle(pose, ELBOW, "left"), null);
});

test("a course is whole while the joint is seen and the stream goes on", () => {
  const history = new AngleHistory();
  for (let frame = 0; frame < 30; frame++) history.add(message(frame / 30), arm(frame));
  const [piece, ...others] = history.pieces(ELBOW, "left");
  assert.equal(others.length, 0);
  assert.equal(piece.length, 30);
  near(piece[12].degrees, 12);
  near(piece[12].t_s, 12 / 30);
  near(history.current(ELBOW, "left"), 29);
  assert.deepEqual(history.pieces(ELBOW, "right"), []);
});

test("it breaks where the joint is unseen, the person gone, messages missing, the stream anew", () => {
  const history = new AngleHistory();
  history.add(message(0), arm(10));
  history.add(message(0.1), makePose({})); // unseen
  history.add(message(0.2), arm(20));
  history.add(message(0.3), undefined); // nobody
  history.add(message(0.4), arm(30));
  history.add(message(1.4), arm(40)); // a second without messages
  history.add(message(1.5, 2), arm(50)); // an epoch of its own
  history.add(message(1.6, 2), arm(60));
  const lengths = history.pieces(ELBOW, "left").map((piece) => piece.length);
  assert.deepEqual(lengths, [1, 1, 1, 1, 2]);
});

test("what is older than ten seconds is forgotten, and what comes late is left out", () => {
  const history = new AngleHistory();
  for (let second = 0; second <= 25; second += 0.25) history.add(message(second), arm(90));
  history.add(message(24.9), arm(0));
  const samples = history.pieces(ELBOW, "left").flat();
  assert.equal(samples.length, 41);
  assert.equal(samples[0].t_s, 15);
  assert.equal(history.newest_s, 25);
  near(history.current(ELBOW, "left"), 90);
});

test("a stream that begins at 0 again has a course of its own", () => {
  const history = new AngleHistory();
  for (let second = 30; second <= 32; second += 0.25) history.add(message(second), arm(90));
  history.add(message(0), arm(10));
  history.add(message(0.1), arm(20));
  assert.deepEqual(history.pieces(ELBOW, "left").map((piece) => piece.length), [2]);
  near(history.current(ELBOW, "left"), 20);
});

test("while the joint is unseen its angle is not known", () => {
  const history = new AngleHistory();
  history.add(message(0), arm(90));
  history.add(message(0.1), makePose({}));
  assert.equal(history.current(ELBOW, "left"), null);
});
