// Frames held until their landmarks are here: the server's estimate takes longer than the way to the
// screen. Picture and landmarks then go on display together, on one canvas. Over a video that shows
// itself, they would be a screen's picture apart now and then.

import { element } from "./dom.js";
import { nextToShow } from "./match.js";
import { FramePairing } from "./pairing.js";

/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/**
 * What the browser tells of a frame.
 * @typedef {object} FrameInfo
 * @property {number | null} rtpTimestamp of its packets, if it came as such
 * @property {number | null} captured_ms on performance.now()'s scale, if this computer's camera took it
 */
/**
 * @typedef {FrameInfo & {picture: HTMLCanvasElement, width: number, height: number, at_ms: number,
 *   pts: number | null}} HeldFrame
 */

const FRAMES_MAX = 24;
const LATE_MS = 8; // half a picture of a usual screen
const UNKNOWN = { rtpTimestamp: null, captured_ms: null };

export class HeldFrames {
  /** Degrees clockwise, a multiple of 90, by which the pictures are turned. */
  rotation = 0;

  /** @type {HeldFrame[]} in the order of time */
  #frames = [];
  /** @type {HTMLCanvasElement[]} to be used again */
  #spare = [];
  /** @type {FramePairing<FrameInfo, HTMLCanvasElement>} */
  #pairing = new FramePairing();

  /**
   * The video shows a frame, and this callback tells of one: mostly the same. It is copied, since
   * cameras and decoders stop when too many of their own frames are held.
   * @param {HTMLVideoElement} video
   * @param {number} now_ms of the callback
   * @param {VideoFrameCallbackMetadata} metadata
   * @param {FrameInfo} info
   */
  add(video, now_ms, { mediaTime, expectedDisplayTime }, info) {
    const { pairs, unused } = this.#pairing.add(
      { time_us: mediaTime * 1e6, info },
      this.#copy(video),
      now_ms - expectedDisplayTime > LATE_MS,
    );
    this.#spare.push(...unused);
    for (const { info, picture } of pairs) {
      const { width, height } = picture;
      const at_ms = performance.now();
      this.#frames.push({ ...(info ?? UNKNOWN), picture, width, height, at_ms, pts: null });
    }
    if (this.#frames.length > FRAMES_MAX) this.#release(1);
  }

  /**
   * The frame to show now, which is held no longer, as are those before it.
   * @param {(frame: FrameInfo) => number | null} ptsOf asked again each time: the clocks may have
   *   become known since
   * @param {(pts: number | null) => PoseMessage | null} find
   * @param {number} patience_ms
   * @returns {{frame: HeldFrame, message: PoseMessage | null} | null}
   */
  next(ptsOf, find, patience_ms) {
    for (const frame of this.#frames) frame.pts = ptsOf(frame);
    const next = nextToShow(this.#frames, find, performance.now(), patience_ms);
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
    this.#spare.push(...this.#pairing.clear());
  }

  /** @param {number} count of the oldest */
  #release(count) {
    for (const { picture } of this.#frames.splice(0, count)) this.#spare.push(picture);
  }

  /**
   * @param {HTMLVideoElement} video
   * @returns {{time_us: number | null, picture: HTMLCanvasElement}}
   */
  #copy(video) {
    const frame = "VideoFrame" in window ? new VideoFrame(video) : null;
    const picture = this.#spare.pop() ?? element("canvas");
    const width = frame?.displayWidth ?? video.videoWidth;
    const height = frame?.displayHeight ?? video.videoHeight;
    const [across, down] = this.rotation % 180 ? [height, width] : [width, height];
    if (picture.width !== across) picture.width = across;
    if (picture.height !== down) picture.height = down;
    const context = picture.getContext("2d", { alpha: false });
    if (context) {
      context.setTransform(1, 0, 0, 1, across / 2, down / 2);
      context.rotate((this.rotation * Math.PI) / 180);
      context.drawImage(frame ?? video, -width / 2, -height / 2, width, height);
    }
    const time_us = frame?.timestamp ?? null;
    frame?.close();
    return { time_us, picture };
  }
}
