// Joint and segment angles of a person: what streamer/angles.py computes, and defines. Pure.

import { LANDMARK_NAMES, MIN_VISIBILITY } from "./landmarks.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./landmarks.js").Angle} Angle */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {readonly string[]} End one landmark, or two for the middle between them */
/** @typedef {{x: number, y: number, isGood: boolean}} Vector in pixels, y up */

/** Of a segment's squared length, as much as may run into the depth: it is half at 45°. */
const MAX_DEPTH_SHARE = 0.5;

const SIDES = /** @type {const} */ (["left", "right"]);
const SIDED = {
  foot: ["heel", "foot_index"],
  shank: ["knee", "ankle"],
  thigh: ["hip", "knee"],
  arm: ["shoulder", "elbow"],
  forearm: ["elbow", "wrist"],
  hand: ["wrist", "index"],
};
/** @type {Record<string, readonly [End, End]>} */
const SEGMENTS = {
  ...Object.fromEntries(Object.entries(SIDED).flatMap(([name, [first, last]]) =>
    SIDES.map((side) => [`${side}_${name}`, [[`${side}_${first}`], [`${side}_${last}`]]]))),
  pelvis: [["right_hip"], ["left_hip"]],
  trunk: [["left_hip", "right_hip"], ["left_shoulder", "right_shoulder"]],
  shoulders: [["right_shoulder"], ["left_shoulder"]],
  head: [["left_shoulder", "right_shoulder"], ["left_ear", "right_ear"]],
};
/** Between which two segments; the sign of the first; what is taken off. */
const SIDED_JOINTS = /** @type {const} */ ({
  ankle: ["shank", "foot", 1, 90],
  knee: ["thigh", "shank", 1, 0],
  hip: ["trunk", "thigh", -1, 0],
  shoulder: ["trunk", "arm", -1, 0],
  elbow: ["arm", "forearm", 1, 0],
  wrist: ["forearm", "hand", 1, 0],
});
const JOINTS = Object.entries(SIDED_JOINTS).flatMap(([name, [first, second, sign, offset]]) =>
  SIDES.map((side) => ({
    name: `${side}_${name}`,
    first: first === "trunk" ? first : `${side}_${first}`,
    second: `${side}_${second}`,
    sign,
    offset,
  })));

const INDEX = new Map(LANDMARK_NAMES.map((name, index) => [name.replaceAll(/,? /g, "_"), index]));
const ENDS = Object.entries(SEGMENTS).map(([name, ends]) => ({
  name,
  ends: ends.map((end) => end.map((landmark) => INDEX.get(landmark) ?? 0)),
}));

/**
 * The angles of a pose by their names: those of its message, or, where there are none, computed here:
 * degrees, and 1 where they can be trusted.
 * @param {Pose} pose
 * @param {Size} size of the picture in pixels
 * @returns {Record<string, Angle>}
 */
export function anglesOf(pose, size) {
  return pose.angles ?? computeAngles(pose, size);
}

/**
 * @param {Pose} pose
 * @param {Size} size of the picture in pixels
 * @returns {Record<string, Angle>}
 */
export function computeAngles(pose, size) {
  const vectors = new Map(ENDS.map(({ name, ends }) => [name, vectorOf(pose, size, ends)]));
  /** @type {Record<string, Angle>} */
  const angles = {};
  for (const { name, first, second, sign, offset } of JOINTS) {
    const [a, b] = [vectors.get(first), vectors.get(second)];
    if (!a || !b) continue;
    const across = Math.abs(a.x * b.y - a.y * b.x);
    const between = Math.atan2(across, sign * (a.x * b.x + a.y * b.y));
    angles[name] = [degrees(between) - offset, a.isGood && b.isGood ? 1 : 0];
  }
  for (const [name, { x, y, isGood }] of vectors) {
    angles[name] = [degrees(Math.atan2(y, Math.abs(x))), isGood ? 1 : 0];
  }
  return angles;
}

/**
 * A segment, and whether its angle in the picture means something.
 * @param {Pose} pose
 * @param {Size} size
 * @param {readonly (readonly number[])[]} ends
 * @returns {Vector}
 */
function vectorOf({ landmarks, world, predicted }, { width, height }, ends) {
  const along = (/** @type {readonly (readonly number[])[]} */ rows, /** @type {number} */ axis) => {
    const [first = 0, last = 0] = ends.map((end) => mean(end.map((index) => rows[index]?.[axis] ?? 0)));
    return last - first;
  };
  const x = along(landmarks, 0) * width;
  const y = -along(landmarks, 1) * height;
  const [across, down, deep] = [along(world, 0) ** 2, along(world, 1) ** 2, along(world, 2) ** 2];
  const isUnseen = (/** @type {number} */ index) =>
    predicted ? predicted.includes(index) : (landmarks[index]?.[3] ?? 0) < MIN_VISIBILITY;
  const isFlat = deep <= MAX_DEPTH_SHARE * (across + down + deep);
  return { x, y, isGood: isFlat && (x !== 0 || y !== 0) && !ends.flat().some(isUnseen) };
}

/** @param {readonly number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @param {number} radians */
function degrees(radians) {
  return (radians * 180) / Math.PI;
}
