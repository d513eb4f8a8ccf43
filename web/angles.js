// The angles of a person's joints, from the world landmarks, and their last seconds. Pure.

import { LANDMARK_NAMES, MIN_VISIBILITY } from "./landmarks.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {typeof JOINTS[number]} Joint */
/** @typedef {"left" | "right"} Side */
/** @typedef {{t_s: number, degrees: number}} Sample t_s: media time */

/**
 * Each joint by the landmarks whose angle it is: that of the limbs which meet at the middle one. 180° is
 * a straight limb, at the ankle a foot in line with the shin, at the shoulder an arm straight up.
 */
export const JOINTS = /** @type {const} */ ([
  { key: "elbow", at: ["shoulder", "elbow", "wrist"] },
  { key: "shoulder", at: ["hip", "shoulder", "elbow"] },
  { key: "hip", at: ["shoulder", "hip", "knee"] },
  { key: "knee", at: ["hip", "knee", "ankle"] },
  { key: "ankle", at: ["knee", "ankle", "foot index"] },
]);

export const SIDES = /** @type {const} */ (["left", "right"]);

/** How much of the past is kept and shown. */
export const WINDOW_S = 10;

const TICKS_PER_S = 90_000;
const GAP_S = 0.5;
const SAMPLES_MAX = 1_200; // 10 s at 120 frames a second

/**
 * The interior angle at b between the directions to a and to c, 0 to 180 degrees:
 * atan2(|u × v|, u · v) with u = a - b and v = c - b, which is exact for straight limbs too, where the
 * arc cosine of u · v / (|u| |v|) loses its digits. Null where two of the points are one.
 * @param {readonly number[]} a metres
 * @param {readonly number[]} b
 * @param {readonly number[]} c
 * @returns {number | null}
 */
export function angleBetween([ax = 0, ay = 0, az = 0], [bx = 0, by = 0, bz = 0], [cx = 0, cy = 0, cz = 0]) {
  const u = /** @type {const} */ ([ax - bx, ay - by, az - bz]);
  const v = /** @type {const} */ ([cx - bx, cy - by, cz - bz]);
  if (Math.hypot(...u) === 0 || Math.hypot(...v) === 0) return null;
  const across = Math.hypot(
    u[1] * v[2] - u[2] * v[1],
    u[2] * v[0] - u[0] * v[2],
    u[0] * v[1] - u[1] * v[0],
  );
  return (Math.atan2(across, u[0] * v[0] + u[1] * v[1] + u[2] * v[2]) * 180) / Math.PI;
}

/**
 * In degrees; null while one of the three landmarks is unseen.
 * @param {Pose} pose
 * @param {Joint} joint
 * @param {Side} side
 * @returns {number | null}
 */
export function jointAngle({ landmarks, world }, { at }, side) {
  const [a, b, c] = at.map((name) => LANDMARK_NAMES.indexOf(`${side} ${name}`));
  if (a === undefined || b === undefined || c === undefined) return null;
  if ([a, b, c].some((index) => (landmarks[index]?.[3] ?? 0) < MIN_VISIBILITY)) return null;
  return angleBetween(world[a] ?? [], world[b] ?? [], world[c] ?? []);
}

/** @typedef {{t_s: number, epoch: number, degrees: Map<string, number | null>}} Moment */

/**
 * @param {Moment} before
 * @param {Moment} now
 */
function goesOn(before, now) {
  return before.epoch === now.epoch && now.t_s - before.t_s < GAP_S;
}

/** All joints' angles of one person over the last seconds of media time. */
export class AngleHistory {
  /** @type {Moment[]} in order of time */
  #samples = [];

  /** Media time of the newest frame, in seconds. */
  get newest_s() {
    return this.#samples.at(-1)?.t_s ?? 0;
  }

  clear() {
    this.#samples = [];
  }

  /**
   * A channel without order may turn messages around: one that is a little older than the last is left
   * out. A much older one is of another stream: the webcam was started anew, or the server was.
   * @param {PoseMessage} message
   * @param {Pose | undefined} pose of the person to follow; undefined: not there
   */
  add({ pts, epoch }, pose) {
    const t_s = pts / TICKS_PER_S;
    if (t_s < this.newest_s - GAP_S) this.clear();
    else if (this.#samples.length > 0 && t_s <= this.newest_s) return;
    const degrees = new Map();
    for (const joint of JOINTS) {
      for (const side of SIDES) {
        degrees.set(`${side} ${joint.key}`, pose ? jointAngle(pose, joint, side) : null);
      }
    }
    this.#samples.push({ t_s, epoch, degrees });
    const since_s = t_s - WINDOW_S;
    this.#samples = this.#samples.filter((each) => each.t_s >= since_s).slice(-SAMPLES_MAX);
  }

  /**
   * The newest angle; null when it is not known.
   * @param {Joint} joint
   * @param {Side} side
   */
  current(joint, side) {
    return this.#samples.at(-1)?.degrees.get(`${side} ${joint.key}`) ?? null;
  }

  /**
   * The unbroken pieces of an angle's course. It breaks where a landmark is unseen, where messages are
   * missing for longer, and where the stream began anew.
   * @param {Joint} joint
   * @param {Side} side
   * @returns {Sample[][]}
   */
  pieces(joint, side) {
    /** @type {Sample[][]} */
    const pieces = [];
    /** @type {Moment | null} the one before, if its angle is known */
    let before = null;
    for (const sample of this.#samples) {
      const value = sample.degrees.get(`${side} ${joint.key}`) ?? null;
      if (value !== null) {
        if (!before || !goesOn(before, sample)) pieces.push([]);
        pieces.at(-1)?.push({ t_s: sample.t_s, degrees: value });
      }
      before = value === null ? null : sample;
    }
    return pieces;
  }
}
