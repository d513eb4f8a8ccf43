// Which landmarks belong to which frame. Pure: no picture and no clock in here.

/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */

/** Packets carry the frame's time itself; 1 ms is for what rounds on the way. */
export const PACKET_TOLERANCE = 90;

/** A camera frame's time comes over two clocks, rounded to milliseconds; at 120 fps half a frame is 4. */
export const CAPTURE_TOLERANCE = 360;

const KEPT_TICKS = 90_000;
const KEPT_MESSAGES = 150;
const LATE_AFTER_MS = 1_000;

/** The messages of about the last second, by the time of their frame. */
export class RecentPoses {
  /** @type {PoseMessage | null} that of the latest frame */
  newest = null;

  /** @type {PoseMessage[]} in the order of arrival: a channel without order may turn them around */
  #messages = [];

  /** @param {PoseMessage} message */
  add(message) {
    this.#messages.push(message);
    if (!this.newest || message.pts > this.newest.pts) this.newest = message;
    const since = this.newest.pts - KEPT_TICKS;
    this.#messages = this.#messages.filter(({ pts }) => pts >= since).slice(-KEPT_MESSAGES);
  }

  clear() {
    this.newest = null;
    this.#messages = [];
  }

  /**
   * The message of the frame with this time, never that of another frame.
   * @param {number | null} pts
   * @param {number} tolerance ticks
   * @returns {PoseMessage | null}
   */
  find(pts, tolerance) {
    if (pts === null) return null;
    let nearest = null;
    let best = tolerance;
    for (const message of this.#messages) {
      const apart = Math.abs(message.pts - pts);
      if (apart <= best) [nearest, best] = [message, apart];
    }
    return nearest;
  }
}

/**
 * Which of the frames that wait for their landmarks is to be shown now. The latest whose message is
 * here; the ones before it are left out. A frame that has waited too long, or that no message can
 * be told to belong to, goes without.
 * @template {{at_ms: number, pts: number | null}} T
 * @param {readonly T[]} held in the order of time
 * @param {(pts: number | null) => PoseMessage | null} find
 * @param {number} now_ms
 * @param {number} patience_ms
 * @returns {{index: number, message: PoseMessage | null} | null}
 */
export function nextToShow(held, find, now_ms, patience_ms) {
  for (let index = held.length - 1; index >= 0; index--) {
    const message = find(held[index]?.pts ?? null);
    if (message) return { index, message };
  }
  for (let index = held.length - 1; index >= 0; index--) {
    const frame = held[index];
    if (frame && (frame.pts === null || now_ms - frame.at_ms >= patience_ms)) {
      return { index, message: null };
    }
  }
  return null;
}

/** Knows when frames have come without their landmarks for so long that it should be said. */
export class Lateness {
  /** @type {number | null} */
  #missingSince_ms = null;
  #frameAt_ms = 0;

  /**
   * @param {boolean} isDrawn whether the frame on display has its landmarks
   * @param {number} now_ms
   */
  note(isDrawn, now_ms) {
    this.#frameAt_ms = now_ms;
    if (isDrawn) this.#missingSince_ms = null;
    else this.#missingSince_ms ??= now_ms;
  }

  clear() {
    this.#missingSince_ms = null;
  }

  /** @param {number} now_ms */
  isLate(now_ms) {
    if (this.#missingSince_ms === null || now_ms - this.#frameAt_ms > LATE_AFTER_MS) return false;
    return now_ms - this.#missingSince_ms > LATE_AFTER_MS;
  }
}
