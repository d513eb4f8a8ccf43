// Landmarks on their own frame or on none, and the delay that brings them together in time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Lateness, nextToShow, PACKET_TOLERANCE, RecentPoses } from "../../web/match.js";
import { PlayoutDelay } from "../../web/playout.js";

const FRAME = 3000; // ticks at 30 fps
const message = (pts, epoch = 1) => ({ type: "pose", epoch, pts, poses: [] });

function recent(...times) {
  const poses = new RecentPoses();
  times.forEach((pts, index) => poses.add(message(pts), index));
  return poses;
}

test("a message is found by its frame's time, within a millisecond and no further", () => {
  const poses = recent(0, FRAME, 2 * FRAME);
  assert.equal(poses.find(FRAME, PACKET_TOLERANCE).message.pts, FRAME);
  assert.equal(poses.find(FRAME + 90, PACKET_TOLERANCE).message.pts, FRAME);
  assert.equal(poses.find(FRAME - 90, PACKET_TOLERANCE).message.pts, FRAME);
  assert.equal(poses.find(FRAME + 91, PACKET_TOLERANCE), null);
  assert.equal(poses.find(3 * FRAME, PACKET_TOLERANCE), null);
  assert.equal(poses.find(null, PACKET_TOLERANCE), null);
});

test("of two within reach the nearer one counts", () => {
  assert.equal(recent(0, 100, 160).find(130, 90).message.pts, 160);
  assert.equal(recent(160, 100, 0).find(120, 90).message.pts, 100);
});

test("messages are kept for a second, in whatever order they come", () => {
  const poses = recent(90_000, 180_000, 120_000, 200_000);
  assert.equal(poses.find(90_000, 0), null);
  assert.equal(poses.find(120_000, 0).message.pts, 120_000);
  assert.equal(poses.newest.pts, 200_000);
});

test("as many as a hidden page may get are not all kept", () => {
  const poses = recent(...Array.from({ length: 1000 }, (_, index) => index));
  assert.equal(poses.find(500, 0), null);
  assert.equal(poses.find(999, 0).message.pts, 999);
});

test("after a new connection nothing of the old one is found", () => {
  const poses = recent(FRAME);
  poses.clear();
  assert.equal(poses.find(FRAME, PACKET_TOLERANCE), null);
  assert.equal(poses.newest, null);
});

const held = (...frames) => frames.map(([pts, at_ms]) => ({ pts, at_ms }));
const among = (...times) => (pts) => (times.includes(pts) ? message(pts) : null);

test("a camera's frame is held until its landmarks come", () => {
  const frames = held([0, 0], [FRAME, 33]);
  assert.equal(nextToShow(frames, among(), 40, 250), null);
  assert.deepEqual(nextToShow(frames, among(0), 40, 250), { index: 0, message: message(0) });
});

test("the latest frame with landmarks is shown, those before it are left out", () => {
  const frames = held([0, 0], [FRAME, 33], [2 * FRAME, 66]);
  assert.equal(nextToShow(frames, among(0, FRAME), 70, 250).index, 1);
});

test("a frame that waited too long goes without, and never with those of another", () => {
  const frames = held([0, 0], [FRAME, 33], [2 * FRAME, 66]);
  const shown = nextToShow(frames, among(5 * FRAME), 290, 250);
  assert.deepEqual(shown, { index: 1, message: null });
});

test("a frame whose time is not known is not held", () => {
  assert.deepEqual(nextToShow(held([null, 0]), among(0), 1, 250), { index: 0, message: null });
});

test("landmarks are late when frames have come without them for a second", () => {
  const lateness = new Lateness();
  assert.equal(lateness.isLate(5000), false);
  for (let now = 0; now <= 1000; now += 33) lateness.note(false, now);
  assert.equal(lateness.isLate(1000), false);
  lateness.note(false, 1010);
  assert.equal(lateness.isLate(1020), true);
  lateness.note(true, 1030);
  assert.equal(lateness.isLate(1040), false);
});

test("without frames nothing is late", () => {
  const lateness = new Lateness();
  for (let now = 0; now <= 1500; now += 33) lateness.note(false, now);
  assert.equal(lateness.isLate(1600), true);
  assert.equal(lateness.isLate(2600), false);
});

/** Feeds a second of frames, each `late_ms` late without a delay. */
function second(playout, late_ms, from_ms) {
  let changed = false;
  for (let now = from_ms; now < from_ms + 1050; now += 33) {
    changed = playout.note(late_ms - playout.delay_ms, now) || changed;
  }
  return changed;
}

test("video is held back just as long as landmarks take longer", () => {
  const playout = new PlayoutDelay();
  assert.equal(second(playout, 20, 0), true);
  assert.equal(playout.delay_ms, 24);
  assert.equal(second(playout, 20, 1050), false);
  assert.equal(playout.delay_ms, 24);
});

test("video is not held back for landmarks that come early", () => {
  const playout = new PlayoutDelay();
  assert.equal(second(playout, -30, 0), false);
  assert.equal(playout.delay_ms, 0);
});

test("the delay goes down again in small steps, and never beyond its bounds", () => {
  const playout = new PlayoutDelay();
  second(playout, 900, 0);
  assert.equal(playout.delay_ms, 150);
  second(playout, 20, 1050);
  assert.equal(playout.delay_ms, 145);
  for (let turn = 2; turn < 60; turn++) second(playout, 20, turn * 1050);
  assert.ok(Math.abs(playout.delay_ms - 24) <= 1); // nobody sees a step of 1 ms
  playout.clear(0);
  assert.equal(playout.delay_ms, 0);
});
