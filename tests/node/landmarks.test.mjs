// The binary pose message against docs/protocol.md: bytes laid down by hand, field by field.

import assert from "node:assert/strict";
import { test } from "node:test";
import { ANGLES, decodePose, parseMessage } from "../../web/landmarks.js";

const POSE_BYTES = 466;

/** A message's bytes, written where the table of the specification says. */
function makeMessage({ poses = [], stages = [1, 2, 3, 4, 10], version = 1, kind = 1 } = {}) {
  const start = 40 + 4 * stages.length;
  const buffer = new ArrayBuffer(start + poses.length * POSE_BYTES);
  const view = new DataView(buffer);
  view.setUint8(0, version);
  view.setUint8(1, kind);
  view.setUint8(2, poses.length);
  view.setUint8(3, stages.length);
  view.setUint32(4, 7, true);
  view.setUint32(8, 4_000_000_000, true);
  view.setUint32(12, 3, true);
  view.setUint16(16, 1280, true);
  view.setUint16(18, 720, true);
  view.setBigInt64(24, 9_000_000_000n, true);
  view.setFloat64(32, 1760000000.123, true);
  stages.forEach((ms, index) => view.setFloat32(40 + 4 * index, ms, true));
  poses.forEach((pose, index) => writePose(view, start + index * POSE_BYTES, pose));
  return buffer;
}

/** The first and the last landmark and point are given, the others are 0. */
function writePose(view, at, { id, score, first, last, firstPoint, lastPoint }) {
  view.setUint16(at, id, true);
  view.setUint16(at + 2, score, true);
  for (const [index, values] of [[0, first], [32, last]]) {
    const place = at + 4 + 8 * index;
    values.slice(0, 3).forEach((value, axis) => view.setInt16(place + 2 * axis, value, true));
    view.setUint8(place + 6, values[3]);
    view.setUint8(place + 7, values[4]);
  }
  for (const [index, values] of [[0, firstPoint], [32, lastPoint]]) {
    const place = at + 4 + 264 + 6 * index;
    values.forEach((value, axis) => view.setInt16(place + 2 * axis, value, true));
  }
}

const ONE = {
  ...{ id: 1, score: 65535, first: [8192, 4096, -2048, 255, 51], last: [32767, -32768, 0, 0, 255] },
  ...{ firstPoint: [-5000, 12345, 1], lastPoint: [32767, -32767, 0] },
};
const TWO = {
  ...{ id: 2, score: 0, first: [1, 2, 3, 4, 5], last: [-1, -2, -3, 6, 7] },
  ...{ firstPoint: [10, 20, 30], lastPoint: [-10, -20, -30] },
};

test("the header's fields come out as the JSON message has them", () => {
  assert.deepEqual(decodePose(makeMessage(), "door"), {
    type: "pose",
    v: 1,
    stream: "door",
    epoch: 7,
    seq: 4_000_000_000,
    dropped: 3,
    width: 1280,
    height: 720,
    pts: 9_000_000_000,
    received_at: 1760000000.123,
    latency_ms: { decode: 1, queue: 2, pose: 3, draw: 4, total: 10 },
    poses: [],
  });
});

test("a person's landmarks keep their sign, and stop at what 16 bits hold", () => {
  const [pose] = decodePose(makeMessage({ poses: [ONE] }), "door").poses;
  assert.equal(pose.id, 1);
  assert.equal(pose.score, 1);
  assert.equal(pose.landmarks.length, 33);
  assert.deepEqual(pose.landmarks[0], [0.5, 0.25, -0.125, 1, 0.2]);
  assert.deepEqual(pose.landmarks[1], [0, 0, 0, 0, 0]);
  assert.deepEqual(pose.landmarks[32], [32767 / 16384, -2, 0, 0, 1]);
  assert.equal(pose.world.length, 33);
  const metres = [...pose.world[0], ...pose.world[32]];
  [-0.5, 1.2345, 0.0001, 3.2767, -3.2767, 0].forEach((value, index) => {
    assert.ok(Math.abs(metres[index] - value) < 1e-9, `${metres[index]} is not ${value}`);
  });
});

test("two people come in their order", () => {
  const buffer = makeMessage({ poses: [ONE, TWO] });
  assert.equal(buffer.byteLength, 992);
  const [first, second] = decodePose(buffer, "door").poses;
  assert.deepEqual([first.id, second.id], [1, 2]);
  assert.deepEqual(second.landmarks[0].slice(0, 3), [1 / 16384, 2 / 16384, 3 / 16384]);
  assert.deepEqual(second.landmarks[32].slice(0, 3), [-1 / 16384, -2 / 16384, -3 / 16384]);
  assert.ok(Math.abs(second.world[32][2] + 0.003) < 1e-9);
});

test("stages that a later version appends are passed over", () => {
  const { latency_ms, poses } = decodePose(
    makeMessage({ stages: [1, 2, 3, 4, 10, 99], poses: [ONE] }),
    "door",
  );
  assert.deepEqual(latency_ms, { decode: 1, queue: 2, pose: 3, draw: 4, total: 10 });
  assert.equal(poses[0].landmarks[0][0], 0.5);
});

test("fewer stages are read as they are", () => {
  const { latency_ms } = decodePose(makeMessage({ stages: [1, 2] }), "door");
  assert.deepEqual(latency_ms, { decode: 1, queue: 2 });
});

test("unknown versions and kinds are ignored", () => {
  assert.equal(decodePose(makeMessage({ version: 2 }), "door"), null);
  assert.equal(decodePose(makeMessage({ kind: 2 }), "door"), null);
});

test("a message that was cut short anywhere is ignored", () => {
  const whole = makeMessage({ poses: [ONE, TWO] });
  for (let length = 0; length < whole.byteLength; length++) {
    assert.equal(decodePose(whole.slice(0, length), "door"), null, `${length} bytes`);
  }
  assert.notEqual(decodePose(whole, "door"), null);
});

/** The same with blocks behind the poses, and their bits in the header. */
function withFurther(buffer, bits, ...blocks) {
  const bytes = new Uint8Array([...new Uint8Array(buffer), ...blocks.flat()]);
  new DataView(bytes.buffer).setUint32(20, bits, true);
  return bytes.buffer;
}

const SIGHTS = [[0b11, 0, 0, 0, 1, 0], [0, 0b100, 0, 0, 0, 2]]; // landmarks 0, 1 and 32; 10, front_back
const ANGLES_BYTES = 2 * 28 + 4;

test("blocks behind the poses have what can't be seen, mistaken sides and angles", () => {
  const angles = Array.from({ length: 2 }, () => new Uint8Array(ANGLES_BYTES));
  new DataView(angles[1].buffer).setInt16(4, -905, true);
  angles[1][56] = 0b100;
  const buffer = withFurther(
    makeMessage({ poses: [ONE, TWO] }), 3, ...SIGHTS, ...angles.map((block) => [...block]),
  );
  const [first, second] = decodePose(buffer, "door").poses;
  assert.deepEqual(first.predicted, [0, 1, 32]);
  assert.equal("turned" in first, false);
  assert.deepEqual(second.predicted, [10]);
  assert.equal(second.turned, "front_back");
  assert.equal(ANGLES[2], "left_knee");
  assert.deepEqual(second.angles.left_knee, [-90.5, 1]);
  assert.deepEqual(first.angles.left_knee, [0, 0]);
  assert.equal("raw" in first, false);
});

test("blocks that a later version adds behind those are passed over", () => {
  const later = withFurther(makeMessage({ poses: [ONE, TWO] }), 1 | 8, ...SIGHTS, [1, 2, 3]);
  const [first, second] = decodePose(later, "door").poses;
  assert.deepEqual([first.predicted, second.predicted], [[0, 1, 32], [10]]);
});

test("a message whose blocks are cut short is ignored", () => {
  const whole = withFurther(makeMessage({ poses: [ONE, TWO] }), 1, ...SIGHTS);
  assert.equal(decodePose(whole.slice(0, -1), "door"), null);
});

test("text stays JSON, whatever form the poses have", () => {
  assert.equal(parseMessage('{"type":"ping","t":1}', "door").type, "ping");
  assert.equal(parseMessage('{"type":"clock","t":1,"rtp_origin":5}', "door").rtp_origin, 5);
  assert.equal(parseMessage('{"type":"pose","seq":4,"poses":[]}', "door").seq, 4);
  assert.equal(parseMessage('{"type":"unheard-of"}', "door"), null);
  assert.equal(parseMessage(makeMessage(), "yard").stream, "yard");
  assert.equal(parseMessage(new Blob([]), "yard"), null);
});
