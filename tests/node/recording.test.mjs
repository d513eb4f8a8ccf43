// Messages collected in the page become a file, and never fill the memory.

import assert from "node:assert/strict";
import { test } from "node:test";
import { LANDMARK_NAMES } from "../../web/landmarks.js";
import { LIMIT_BYTES, LIMIT_S, Recording } from "../../web/recording.js";

function message(seq, people = 1) {
  const pose = {
    id: 1,
    score: 0.987654321,
    landmarks: LANDMARK_NAMES.map((_, index) => [index / 16384, 0.5, -0.25, 1, 0.1 / 3]),
    world: LANDMARK_NAMES.map((_, index) => [index / 10_000, 0, -0.1]),
  };
  return {
    ...{ type: "pose", v: 1, stream: "door", epoch: 1, seq, pts: seq * 3000, received_at: 1.5 },
    ...{ width: 640, height: 480, poses: Array(people).fill(pose) },
    ...{ latency_ms: { pose: 12.345678, total: 15 }, dropped: 0 },
  };
}

async function linesOf(blob) {
  return (await blob.text()).trimEnd().split("\n");
}

test("each message is a line, in the contract's form", async () => {
  const recording = new Recording(0);
  for (let seq = 0; seq < 5; seq++) recording.add(message(seq), seq * 33);
  const lines = (await linesOf(recording.toJsonLines())).map((line) => JSON.parse(line));
  assert.equal(recording.messages, 5);
  assert.deepEqual(lines.map(({ seq }) => seq), [0, 1, 2, 3, 4]);
  assert.deepEqual(Object.keys(lines[0]), Object.keys(message(0)));
  assert.deepEqual(lines[0].poses[0].landmarks[3], [0.00018, 0.5, -0.25, 1, 0.033]);
  assert.deepEqual(lines[0].poses[0].world[3], [0.0003, 0, -0.1]);
  assert.deepEqual(lines[0].latency_ms, { pose: 12.35, total: 15 });
});

test("the size is that of the file", async () => {
  const recording = new Recording(0);
  recording.add(message(0, 2), 0);
  assert.equal(recording.bytes, recording.toJsonLines().size);
});

test("CSV has a row for each person, and one for nobody", async () => {
  const recording = new Recording(0);
  recording.add(message(0, 2), 0);
  recording.add(message(1, 0), 33);
  const [head, ...rows] = await linesOf(recording.toCsv());
  assert.equal(rows.length, 3);
  const columns = head.split(",");
  assert.ok(rows.every((row) => row.split(",").length === columns.length));
  assert.ok(rows[1].startsWith("door,0,0,0.0000,640,480,1,0.988,0,0.5,-0.25,1,0.033,"));
  assert.equal(rows[1].split(",")[columns.indexOf("left_eye_inner_world_z")], "-0.1");
  assert.match(rows[2], /^door,1,3000,0.0333,640,480,0,+$/);
});

test("what is known of a person besides is in both files", async () => {
  const recording = new Recording(0);
  const full = message(0);
  full.poses = [{
    ...full.poses[0],
    ...{ predicted: [0, 32], turned: "left_right", angles: { left_knee: [12.5, 1] } },
    raw: LANDMARK_NAMES.map(() => [1 / 3, 0, 0, 1, 1]),
  }];
  recording.add(full, 0);
  const [{ poses: [pose] }] = (await linesOf(recording.toJsonLines())).map((line) => JSON.parse(line));
  assert.deepEqual([pose.predicted, pose.turned, pose.angles], [[0, 32], "left_right", { left_knee: [12.5, 1] }]);
  assert.deepEqual(pose.raw[0], [0.33333, 0, 0, 1, 1]);
  const [head, row] = (await linesOf(recording.toCsv())).map((line) => line.split(","));
  const value = (name) => row[head.indexOf(name)];
  assert.equal(row.length, head.length);
  assert.deepEqual(["turned", "nose_predicted", "left_ear_predicted"].map(value), ["left_right", "1", "0"]);
  assert.deepEqual(["left_knee_deg", "left_knee_valid", "head_deg"].map(value), ["12.5", "1", ""]);
});

test("it ends after its time", () => {
  const recording = new Recording(0);
  assert.equal(recording.isFull((LIMIT_S - 1) * 1000), false);
  recording.add(message(0), LIMIT_S * 1000);
  assert.equal(recording.messages, 0);
  assert.equal(recording.seconds(2 * LIMIT_S * 1000), LIMIT_S);
});

test("it ends at its size", () => {
  const recording = new Recording(0);
  recording.bytes = LIMIT_BYTES - 1;
  recording.add(message(0), 0);
  assert.equal(recording.isFull(0), true);
  recording.add(message(1), 0);
  assert.equal(recording.messages, 1);
});
