// Pose messages collected in the page, and the files that become of them. Pure.

import { ANGLES, LANDMARK_NAMES } from "./landmarks.js";

/** @typedef {import("./landmarks.js").Landmark} Landmark */
/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */

/** A page that records for longer would fill the browser's memory. */
export const LIMIT_S = 600;
export const LIMIT_BYTES = 50_000_000;

// The wire's own steps are 1/16384 of the picture, 1/255 and 0.1 mm: more digits are noise.
const DIGITS = { landmark: 5, share: 3, world: 4, ms: 2 };
const NAMES = LANDMARK_NAMES.map((name) => name.replaceAll(/,? /g, "_"));
/** @param {string[]} fields */
const ofAll = (...fields) => NAMES.flatMap((name) => fields.map((field) => `${name}_${field}`));
const COLUMNS = [
  "stream", "frame", "pts", "time_s", "width", "height", "person", "score",
  ...ofAll("x", "y", "z", "visibility", "presence"),
  ...ofAll("world_x", "world_y", "world_z"),
  "turned", ...ofAll("predicted"), ...ANGLES.flatMap((name) => [`${name}_deg`, `${name}_valid`]),
];
const TICKS_PER_S = 90_000;

/** One recording. It takes no more once a limit is reached. */
export class Recording {
  bytes = 0;

  /** @type {string[]} JSON */
  #lines = [];
  #startedAt_ms;

  /** @param {number} now_ms */
  constructor(now_ms) {
    this.#startedAt_ms = now_ms;
  }

  get messages() {
    return this.#lines.length;
  }

  /** @param {number} now_ms */
  seconds(now_ms) {
    return Math.min(LIMIT_S, (now_ms - this.#startedAt_ms) / 1000);
  }

  /** @param {number} now_ms */
  isFull(now_ms) {
    return this.seconds(now_ms) >= LIMIT_S || this.bytes >= LIMIT_BYTES;
  }

  /**
   * @param {PoseMessage} message
   * @param {number} now_ms
   */
  add(message, now_ms) {
    if (this.isFull(now_ms)) return;
    const line = `${JSON.stringify(rounded(message))}\n`;
    this.#lines.push(line);
    this.bytes += line.length; // ASCII: names of streams are
  }

  /** `landmarks.jsonl`: each message as docs/protocol.md has it, one a line. */
  toJsonLines() {
    return new Blob(this.#lines, { type: "application/jsonl" });
  }

  /**
   * As `streamer analyze --csv` writes it (docs/analyze.md): one row for each person in each frame. A frame
   * with nobody has one, too, of person 0, with nothing in the columns from `score` on.
   */
  toCsv() {
    const rows = this.#lines.map((line) => rowsOf(JSON.parse(line)));
    return new Blob([`${COLUMNS.join()}\n`, ...rows], { type: "text/csv" });
  }
}

/** @param {PoseMessage} message */
function rounded(message) {
  const stages = Object.entries(message.latency_ms).map(([stage, ms]) => [stage, round(ms, DIGITS.ms)]);
  return {
    ...message,
    poses: message.poses.map(roundedPose),
    latency_ms: Object.fromEntries(stages),
  };
}

/** @param {Pose} pose */
function roundedPose({ raw, ...pose }) {
  return {
    ...pose,
    score: round(pose.score, DIGITS.share),
    landmarks: pose.landmarks.map(roundedLandmark),
    world: pose.world.map((each) => each.map((value) => round(value, DIGITS.world))),
    ...(raw && { raw: raw.map(roundedLandmark) }),
  };
}

/** @param {Landmark} landmark */
function roundedLandmark(landmark) {
  return landmark.map((value, index) => round(value, index < 3 ? DIGITS.landmark : DIGITS.share));
}

/**
 * @param {number} value
 * @param {number} digits
 */
function round(value, digits) {
  return Number(value.toFixed(digits));
}

/** @param {PoseMessage} message */
function rowsOf({ stream, seq, pts, width, height, poses }) {
  const head = [stream, seq, pts, (pts / TICKS_PER_S).toFixed(4), width, height];
  const empty = ",".repeat(COLUMNS.length - head.length - 1);
  if (poses.length === 0) return `${head.join()},0${empty}\n`;
  const rows = poses.map((/** @type {Pose} */ pose) => {
    const { id, score, landmarks, world } = pose;
    return [...head, id, score, ...landmarks.flat(), ...world.flat(), ...further(pose)].join();
  });
  return rows.map((row) => `${row}\n`).join("");
}

/**
 * The columns of what not every pose has, as far as this one has it.
 * @param {Pose} pose
 */
function further({ turned, predicted, angles }) {
  const flags = LANDMARK_NAMES.map((_, index) => (predicted ? Number(predicted.includes(index)) : ""));
  const columns = ANGLES.flatMap((name) => [angles?.[name]?.[0] ?? "", angles?.[name]?.[1] ?? ""]);
  return [turned ?? "", ...flags, ...columns];
}
