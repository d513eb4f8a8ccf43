// Landmarks on their own frame or on none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Lateness, nextToShow, PACKET_TOLERANCE, RecentPoses } from "../../web/match.js";
import { FramePairing } from "../../web/pairing.js";

const FRAME = 3000; // ticks at 30 fps
const message = (pts, epoch = 1) => ({ type: "pose", epoch, pts, poses: [] });

function recent(...times) {
  const poses = new RecentPoses();
  for (const pts of times) poses.add(message(pts));
  return poses;
}

test("a message is found by its frame's time, within a millisecond and no further", () => {
  const poses = recent(0, FRAME, 2 * FRAME);
  assert.equal(poses.find(FRAME, PACKET_TOLERANCE).pts, FRAME);
  assert.equal(poses.find(FRAME + 90, PACKET_TOLERANCE).pts, FRAME);
  assert.equal(poses.find(FRAME - 90, PACKET_TOLERANCE).pts, FRAME);
  assert.equal(poses.find(FRAME + 91, PACKET_TOLERANCE), null);
  assert.equal(poses.find(3 * FRAME, PACKET_TOLERANCE), null);
  assert.equal(poses.find(null, PACKET_TOLERANCE), null);
});

test("of two within reach the nearer one counts", () => {
  assert.equal(recent(0, 100, 160).find(130, 90).pts, 160);
  assert.equal(recent(160, 100, 0).find(120, 90).pts, 100);
});

test("messages are kept for a second, in whatever order they come", () => {
  const poses = recent(90_000, 180_000, 120_000, 200_000);
  assert.equal(poses.find(90_000, 0), null);
  assert.equal(poses.find(120_000, 0).pts, 120_000);
  assert.equal(poses.newest.pts, 200_000);
});

test("as many as a hidden page may get are not all kept", () => {
  const poses = recent(...Array.from({ length: 1000 }, (_, index) => index));
  assert.equal(poses.find(500, 0), null);
  assert.equal(poses.find(999, 0).pts, 999);
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

const at = (number) => ({ time_us: 33_333 * number, info: `info ${number}` });
const seen = (number) => ({ time_us: 33_333 * number, picture: `picture ${number}` });
const pair = (number) => ({ info: `info ${number}`, picture: `picture ${number}` });

test("a frame and what is told of it belong together by their time", () => {
  const pairing = new FramePairing();
  assert.deepEqual(pairing.add(at(1), seen(1), false), { pairs: [pair(1)], unused: [] });
  assert.deepEqual(pairing.add(at(2), seen(2), true), { pairs: [pair(2)], unused: [] });
});

test("a page that is told late sees the next frame already, and waits for its turn", () => {
  const pairing = new FramePairing();
  assert.deepEqual(pairing.add(at(1), seen(2), true), { pairs: [], unused: [] });
  const again = pairing.add(at(2), seen(2), false);
  assert.deepEqual(again, { pairs: [pair(2)], unused: ["picture 2"] });
});

test("a page that stays late gets every frame it saw but the first", () => {
  const pairing = new FramePairing();
  pairing.add(at(1), seen(2), true);
  assert.deepEqual(pairing.add(at(2), seen(3), true).pairs, [pair(2)]);
  assert.deepEqual(pairing.add(at(3), seen(4), true).pairs, [pair(3)]);
});

test("a picture that nothing is ever told of is given back", () => {
  const pairing = new FramePairing();
  pairing.add(at(1), seen(2), true);
  assert.deepEqual(pairing.add(at(3), seen(3), false), { pairs: [pair(3)], unused: ["picture 2"] });
});

test("a few pictures wait at most, and are given back in the end", () => {
  const pairing = new FramePairing();
  for (let number = 0; number < 6; number++) pairing.add(at(number), seen(number + 100), true);
  assert.equal(pairing.clear().length, 4);
});

test("without times a picture is taken as told, but not when the page was late", () => {
  const pairing = new FramePairing();
  const picture = { time_us: null, picture: "picture 1" };
  assert.deepEqual(pairing.add(at(1), picture, false).pairs, [pair(1)]);
  assert.deepEqual(pairing.add(at(2), picture, true).pairs, [{ info: null, picture: "picture 1" }]);
});

test("a browser whose times stand still is taken as one without", () => {
  const pairing = new FramePairing();
  pairing.add(at(0), seen(0), false);
  const [told, picture] = [{ ...at(0), info: "info 1" }, { ...seen(0), picture: "picture 1" }];
  const { pairs } = pairing.add(told, picture, true);
  assert.deepEqual(pairs, [{ info: null, picture: "picture 1" }]);
});

test("a browser whose times never agree is taken as one without", () => {
  const pairing = new FramePairing();
  for (let number = 0; number < 30; number++) {
    assert.deepEqual(pairing.add(at(number), seen(number + 100), false).pairs, []);
  }
  const { pairs } = pairing.add(at(30), seen(130), false);
  assert.deepEqual(pairs, [{ info: "info 30", picture: "picture 130" }]);
});
