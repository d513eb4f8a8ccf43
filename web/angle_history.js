// The course of a person's joint angles over the last seconds. Pure.

import { anglesOf } from "./angles.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {typeof JOINTS[number]} Joint */
/** @typedef {"left" | "right"} Side */
/** @typedef {{t_s: number, degrees: number}} Sample t_s: media time */

/** The joints, and from where to where their angles go. */
export const JOINTS = /** @type {const} */ ([
  { key: "elbow", least: 0, most: 180 },
  { key: "shoulder", least: 0, most: 180 },
  { key: "hip", least: 0, most: 180 },
  { key: "knee", least: 0, most: 180 },
  { key: "ankle", least: -90, most: 90 },
]);

export const SIDES = /** @type {const} */ (["left", "right"]);

/** How much of the past is kept and shown. */
export const WINDOW_S = 10;

const TICKS_PER_S = 90_000;
const GAP_S = 0.5;
const SAMPLES_MAX = 1_200; // 10 s at 120 frames a second

/** @typedef {{t_s: number, epoch: number, degrees: Map<string, number>}} Moment degrees: those that can be trusted */

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
  add({ pts, epoch, width, height }, pose) {
    const t_s = pts / TICKS_PER_S;
    if (t_s < this.newest_s - GAP_S) this.clear();
    else if (this.#samples.length > 0 && t_s <= this.newest_s) return;
    const angles = pose ? Object.entries(anglesOf(pose, { width, height })) : [];
    /** @type {Map<string, number>} */
    const trusted = new Map();
    for (const [name, [degrees, valid]] of angles) if (valid) trusted.set(name, degrees);
    this.#samples.push({ t_s, epoch, degrees: trusted });
    const since_s = t_s - WINDOW_S;
    this.#samples = this.#samples.filter((each) => each.t_s >= since_s).slice(-SAMPLES_MAX);
  }

  /**
   * The newest angle; null when it is not known.
   * @param {Joint} joint
   * @param {Side} side
   */
  current(joint, side) {
    return this.#samples.at(-1)?.degrees.get(`${side}_${joint.key}`) ?? null;
  }

  /**
   * The unbroken pieces of an angle's course. It breaks where the angle can't be trusted, where messages
   * are missing for longer, and where the stream began anew.
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
      const value = sample.degrees.get(`${side}_${joint.key}`) ?? null;
      if (value !== null) {
        if (!before || !goesOn(before, sample)) pieces.push([]);
        pieces.at(-1)?.push({ t_s: sample.t_s, degrees: value });
      }
      before = value === null ? null : sample;
    }
    return pieces;
  }
}
