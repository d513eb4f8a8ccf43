// This computer's camera frames, held until their landmarks are here: the server takes longer than the
// screen, so a frame would be gone before it could be drawn on.

import { element } from "./dom.js";
import { nextToShow } from "./match.js";

/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./overlay.js").Shown} Shown */

const PATIENCE_MS = 250;
const FRAMES_MAX = 16; // at 60 fps as long as PATIENCE_MS

export class HeldFrames {
  /** @type {(Shown & {picture: HTMLCanvasElement})[]} in the order of time */
  #frames = [];
  /** @type {HTMLCanvasElement[]} to be used again */
  #spare = [];

  /**
   * Copies the frame that the video shows now: cameras stop when too many of their own frames are
   * held.
   * @param {HTMLVideoElement} video
   * @param {{width: number, height: number}} size
   * @param {number | null} captured_ms on performance.now()'s scale
   */
  add(video, { width, height }, captured_ms) {
    const picture = this.#spare.pop() ?? element("canvas");
    if (picture.width !== width) picture.width = width;
    if (picture.height !== height) picture.height = height;
    picture.getContext("2d", { alpha: false })?.drawImage(video, 0, 0, width, height);
    const now_ms = performance.now();
    this.#frames.push({
      ...{ width, height, picture, captured_ms, pts: null, rtpTimestamp: null },
      ...{ at_ms: now_ms, shown_ms: now_ms },
    });
    if (this.#frames.length > FRAMES_MAX) this.#release(1);
  }

  /**
   * The frame to show now, which is held no longer, as are those before it.
   * @param {(captured_ms: number) => number | null} ptsOf asked again each time: the camera's clock
   *   may have become known since
   * @param {(pts: number | null) => PoseMessage | null} find
   * @returns {{frame: Shown, message: PoseMessage | null} | null}
   */
  next(ptsOf, find) {
    for (const frame of this.#frames) {
      frame.pts = frame.captured_ms === null ? null : ptsOf(frame.captured_ms);
    }
    const next = nextToShow(this.#frames, find, performance.now(), PATIENCE_MS);
    if (!next) return null;
    this.#release(next.index);
    const frame = this.#frames.shift();
    return frame ? { frame, message: next.message } : null;
  }

  /** @param {HTMLCanvasElement} picture is shown no longer */
  giveBack(picture) {
    this.#spare.push(picture);
  }

  clear() {
    this.#release(this.#frames.length);
  }

  /** @param {number} count of the oldest */
  #release(count) {
    for (const { picture } of this.#frames.splice(0, count)) this.#spare.push(picture);
  }
}
