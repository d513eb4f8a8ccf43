// The canvas over the picture: each set of landmarks on the very frame that it was computed from, or
// nothing.

import { element, setText } from "./dom.js";
import { PoseCanvas } from "./draw.js";
import { HeldFrames } from "./hold.js";
import { t } from "./i18n.js";
import { CAPTURE_TOLERANCE, Lateness, PACKET_TOLERANCE, RecentPoses } from "./match.js";
import { canTellFrames, NO_FRAME_TIMES } from "./modes.js";

/** @typedef {import("./clock.js").StreamClock} StreamClock */
/** @typedef {import("./clock.js").Latency} Latency */
/** @typedef {import("./hold.js").FrameInfo} FrameInfo */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/**
 * What the canvas does. `off`: the picture is annotated already. `packets`: it shows a video that
 * came from the server, each frame once its landmarks are here. `camera`: the same with this
 * computer's camera. `alone`: the newest landmarks without a picture.
 * @typedef {"off" | "packets" | "camera" | "alone"} OverlayMode
 */
/**
 * One drawing, for tests and for the curious.
 * @typedef {object} Drawing
 * @property {number | null} pts of the frame on display
 * @property {number | null} message the pts of the landmarks on it
 * @property {number | null} rtpTimestamp of the frame
 * @property {boolean} late the landmarks came when their frame was on display already
 */
/**
 * The frame on display. `picture` is null when there is none.
 * @typedef {FrameInfo & {width: number, height: number, pts: number | null, at_ms: number,
 *   picture: HTMLCanvasElement | null}} Shown
 */

const HELD = {
  packets: { patience_ms: 150, tolerance: PACKET_TOLERANCE },
  camera: { patience_ms: 300, tolerance: CAPTURE_TOLERANCE }, // there and back
};
const DRAWINGS_KEPT = 600;
const LOOK_INTERVAL_MS = 100;
const STALE_AFTER_MS = 1_000;

export class Overlay {
  /** For tests and for the curious. */
  debug = {
    /** @type {OverlayMode} */
    mode: "off",
    /** @type {Drawing[]} */
    recent: [],
    /** @type {((drawing: Drawing) => void) | null} called after each drawing */
    onDraw: null,
  };

  #video;
  #canvas;
  #note;
  #onLatency;
  /** @type {StreamClock | null} */
  #clock = null;
  #poses = new RecentPoses();
  #lateness = new Lateness();
  #held = new HeldFrames();
  #cameraRotation = 0;
  /** @type {Shown | null} */
  #shown = null;
  /** @type {PoseMessage | null} on the canvas */
  #drawn = null;
  #isPaused = false;
  #isMirrored = false;
  #willDraw = false;
  #lacksTimes = false;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLCanvasElement} canvas laid out as the video
   * @param {HTMLElement} note where to say that landmarks are late
   * @param {(latency: Latency) => void} onLatency of a frame that went on display
   */
  constructor(video, canvas, note, onLatency) {
    this.#video = video;
    this.#canvas = new PoseCanvas(canvas);
    this.#note = note;
    this.#onLatency = onLatency;
    setInterval(() => this.#look(), LOOK_INTERVAL_MS);
    if (canTellFrames) this.#awaitFrame();
  }

  get #mode() {
    return this.debug.mode;
  }

  /** @param {import("./look.js").Look} look of the landmarks that are drawn here */
  set look(look) {
    this.#canvas.look = look;
  }

  /** @param {number} degrees clockwise, by which the server turns what this computer's camera sends it */
  set cameraRotation(degrees) {
    this.#cameraRotation = degrees;
    this.#held.rotation = this.#mode === "camera" ? degrees : 0;
  }

  /** @param {boolean} isMirrored what the page shows, and saves */
  set isMirrored(isMirrored) {
    this.#isMirrored = isMirrored;
    this.#canvas.isMirrored = isMirrored;
  }

  /**
   * A new connection: nothing of the old one's times is valid. The last picture stays.
   * @param {OverlayMode} mode
   * @param {StreamClock} clock
   */
  begin(mode, clock) {
    if (mode !== this.#mode) this.clear();
    this.debug.mode = mode;
    this.#canvas.isShown = mode !== "off";
    this.#clock = clock;
    this.#poses.clear();
    this.#held.clear();
    this.cameraRotation = this.#cameraRotation;
    this.#lateness.clear();
    this.#lacksTimes = false;
  }

  /** Nothing is shown any more. */
  clear() {
    this.#shown = null;
    this.#drawn = null;
    this.#held.clear();
    this.#canvas.clear();
    this.#lateness.clear();
    setText(this.#note, "");
  }

  /** @param {boolean} isPaused the picture stands still, and its landmarks with it */
  setPaused(isPaused) {
    this.#isPaused = isPaused;
    this.#held.clear();
  }

  /** @param {PoseMessage} message */
  onPose(message) {
    this.#poses.add(message);
    if (this.#mode === "alone") this.#drawSoon();
    else if (this.#mode !== "off") this.#advance();
  }

  /**
   * The picture as it is seen, with its landmarks; null when there is none.
   * @returns {HTMLCanvasElement | null}
   */
  snapshot() {
    const { videoWidth, videoHeight } = this.#video;
    const annotated = { width: videoWidth, height: videoHeight, picture: this.#video };
    const shown = this.#mode === "off" ? annotated : this.#shown;
    if (!shown?.width) return null;
    const copy = element("canvas");
    [copy.width, copy.height] = [shown.width, shown.height];
    const context = copy.getContext("2d");
    if (!context) return null;
    context.fillRect(0, 0, copy.width, copy.height);
    if (this.#isMirrored) context.setTransform(-1, 0, 0, 1, copy.width, 0);
    if (shown.picture) context.drawImage(shown.picture, 0, 0);
    this.#canvas.drawOn(context);
    return copy;
  }

  #awaitFrame() {
    this.#video.requestVideoFrameCallback((now_ms, metadata) => {
      this.#awaitFrame();
      if (this.#mode === "off") this.#measure(metadata);
      else if (this.#mode !== "alone") this.#hold(now_ms, metadata);
    });
  }

  /**
   * An annotated frame is going on display.
   * @param {VideoFrameCallbackMetadata} metadata
   */
  #measure({ rtpTimestamp, expectedDisplayTime }) {
    const pts = this.#ptsOf({ rtpTimestamp: rtpTimestamp ?? null, captured_ms: null });
    const message = this.#poses.find(pts, PACKET_TOLERANCE);
    this.#tellLatency({ pts, captured_ms: null }, message, expectedDisplayTime);
  }

  /**
   * @param {number} now_ms
   * @param {VideoFrameCallbackMetadata} metadata
   */
  #hold(now_ms, metadata) {
    const { captureTime = null, rtpTimestamp = null } = metadata;
    // Browsers guess a time of capture for a video from elsewhere, a millisecond or so off.
    const info =
      this.#mode === "camera"
        ? { captured_ms: captureTime, rtpTimestamp: null }
        : { captured_ms: null, rtpTimestamp };
    this.#lacksTimes = info.captured_ms === null && info.rtpTimestamp === null;
    this.#held.add(this.#video, now_ms, metadata, info);
    this.#advance();
  }

  /**
   * Shows the frame whose turn it is: its landmarks have come, or it has waited too long. Landmarks
   * may also come for the frame that is on display without them.
   */
  #advance() {
    if (this.#isPaused || (this.#mode !== "packets" && this.#mode !== "camera")) return;
    const { patience_ms, tolerance } = HELD[this.#mode];
    const find = (/** @type {number | null} */ pts) => this.#poses.find(pts, tolerance);
    const next = this.#held.next((info) => this.#ptsOf(info), find, patience_ms);
    if (next) {
      const before = this.#shown?.picture;
      this.#show(next.frame, next.message);
      if (before) this.#held.giveBack(before);
    } else if (this.#shown && !this.#drawn) {
      const late = find(this.#shown.pts);
      if (late) this.#show(this.#shown, late, true);
    }
  }

  /**
   * @param {FrameInfo} frame
   * @returns {number | null}
   */
  #ptsOf({ captured_ms, rtpTimestamp }) {
    const newest = this.#poses.newest;
    if (captured_ms !== null) {
      const epoch = newest?.epoch ?? this.#clock?.epoch ?? 0;
      return this.#clock?.ptsOfCapture(captured_ms, epoch) ?? null;
    }
    const near = newest?.pts ?? this.#shown?.pts ?? 0;
    return this.#clock?.ptsOfPacket(rtpTimestamp, near) ?? null;
  }

  /** The newest landmarks, at most once for each picture of the screen. */
  #drawSoon() {
    if (this.#willDraw) return;
    this.#willDraw = true;
    requestAnimationFrame((now_ms) => {
      this.#willDraw = false;
      const message = this.#poses.newest;
      if (this.#mode !== "alone" || !message || this.#isPaused) return;
      const { width, height, pts } = message;
      const frame = { width, height, pts, at_ms: now_ms, picture: null };
      this.#show({ ...frame, rtpTimestamp: null, captured_ms: null }, message);
    });
  }

  /**
   * @param {Shown} frame goes on display, or is on it
   * @param {PoseMessage | null} message
   * @param {boolean} late
   */
  #show(frame, message, late = false) {
    this.#shown = frame;
    this.#drawn = message;
    this.#canvas.paint(frame, frame.picture, message);
    this.#lateness.note(message !== null, performance.now());
    if (!late) requestAnimationFrame((now_ms) => this.#tellLatency(frame, message, now_ms));
    const { pts, rtpTimestamp } = frame;
    const drawing = { pts, message: message?.pts ?? null, rtpTimestamp, late };
    this.debug.recent.push(drawing);
    if (this.debug.recent.length > DRAWINGS_KEPT) this.debug.recent.shift();
    this.debug.onDraw?.(drawing);
  }

  /**
   * @param {{pts: number | null, captured_ms: number | null}} frame
   * @param {PoseMessage | null} message
   * @param {number} shown_ms
   */
  #tellLatency({ pts, captured_ms }, message, shown_ms) {
    const epoch = this.#poses.newest?.epoch ?? 0;
    const latency = this.#clock?.latencyOf({ shown_ms, pts, captured_ms, message, epoch });
    if (latency) this.#onLatency(latency);
  }

  /** Now and then: a frame that has waited too long, and what is to be said. */
  #look() {
    if (this.#isPaused || this.#mode === "off") return;
    this.#advance();
    const now_ms = performance.now();
    const age_ms = now_ms - (this.#shown?.at_ms ?? now_ms);
    const isStale = this.#mode === "alone" && age_ms > STALE_AFTER_MS;
    if (isStale && this.#drawn) {
      this.#drawn = null;
      this.#canvas.clear();
    }
    const isLate = isStale || this.#lateness.isLate(now_ms);
    setText(this.#note, isLate ? (this.#lacksTimes ? NO_FRAME_TIMES : t("landmarks late")) : "");
  }
}
