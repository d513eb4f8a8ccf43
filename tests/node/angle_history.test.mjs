// The course of joint angles over the last seconds, of poses made by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import { AngleHistory, JOINTS } from "../../web/angle_history.js";
import { LANDMARK_NAMES } from "../../web/landmarks.js";

const TICKS_PER_S = 90_000;
const [ELBOW] = JOINTS;
const SIZE = { width: 640, height: 480 };

/** A pose whose named landmarks are seen at these places in the picture's plane, in metres. */
function makePose(places) {
  const at = (name) => places[name] ?? [0, 0];
  return {
    id: 1,
    score: 1,
    landmarks: LANDMARK_NAMES.map((name) =>
      [at(name)[0] / SIZE.width, at(name)[1] / SIZE.height, 0, name in places ? 1 : 0, 1]),
    world: LANDMARK_NAMES.map((name) => [...at(name), 0]),
  };
}

/** A left arm that is bent by so much, the upper arm along x. */
function arm(degrees) {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return makePose({
    "left shoulder": [-0.3, 0.1],
    "left elbow": [0, 0.1],
    "left wrist": [0.25 * cos, 0.1 + 0.25 * sin],
  });
}

function message(t_s, epoch = 1) {
  return { type: "pose", pts: t_s * TICKS_PER_S, epoch, ...SIZE };
}

function near(actual, expected) {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} is not ${expected}`);
}

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

test("an angle that the message does not trust is not known", () => {
  const history = new AngleHistory();
  const angles = { left_elbow: [47.5, 1], right_elbow: [12, 0] };
  history.add(message(0), { ...arm(90), angles });
  assert.equal(history.current(ELBOW, "left"), 47.5);
  assert.equal(history.current(ELBOW, "right"), null);
});
