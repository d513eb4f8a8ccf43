// The canvas over the picture: each set of landmarks on the very frame that it was computed from, or
// nothing.

import { element, setText } from "./dom.js";
import { drawPoses, PoseCanvas } from "./draw.js";
import { HeldFrames } from "./hold.js";
import { CAPTURE_TOLERANCE, Lateness, PACKET_TOLERANCE, RecentPoses } from "./match.js";
import { canTellFrames, NO_FRAME_TIMES } from "./modes.js";
import { PlayoutDelay } from "./playout.js";

/** @typedef {import("./clock.js").StreamClock} StreamClock */
/** @typedef {import("./clock.js").Latency} Latency */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {{width: number, height: number}} Size */
/**
 * What the canvas does. `off`: the picture is annotated already. `packets`: it lies over a video that
 * came from the server. `camera`: it shows this computer's camera, each frame once its landmarks are
 * here. `alone`: it shows the newest landmarks without a picture.
 * @typedef {"off" | "packets" | "camera" | "alone"} OverlayMode
 */
/**
 * One drawing, for tests and for the curious.
 * @typedef {object} Drawing
 * @property {number | null} pts of the frame on display
 * @property {number | null} message the pts of the landmarks on it
 * @property {number | null} rtpTimestamp of the frame
 * @property {boolean} late the landmarks came after their frame
 */
/**
 * A frame that goes on display. `picture` is null where the video element itself shows it; `at_ms` is
 * when we were told of it, `shown_ms` when a person sees it.
 * @typedef {Size & {pts: number | null, rtpTimestamp: number | null, captured_ms: number | null,
 *   at_ms: number, shown_ms: number, picture: HTMLCanvasElement | null}} Shown
 */
/**
 * @typedef {object} OverlayEvents
 * @property {(latency: Latency) => void} onLatency of a frame that went on display
 * @property {(delay_ms: number) => void} onDelay how long video should be held back from now on
 */

const SHOWN_KEPT = 60;
const DRAWINGS_KEPT = 600;
const SNAPSHOT_PATIENCE_MS = 500;
const LOOK_INTERVAL_MS = 250;
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
    delay_ms: 0,
  };

  #video;
  #canvas;
  #note;
  #events;
  /** @type {StreamClock | null} */
  #clock = null;
  #poses = new RecentPoses();
  #lateness = new Lateness();
  #playout = new PlayoutDelay();
  /** @type {Shown | null} */
  #shown = null;
  /** @type {PoseMessage | null} on the canvas */
  #drawn = null;
  #held = new HeldFrames();
  #isPaused = false;
  /** @type {Shown[]} the last frames on display, without their pictures */
  #past = [];
  /** @type {(() => void)[]} */
  #waiting = [];
  #willDraw = false;
  #lacksTimes = false;

  /**
   * @param {HTMLVideoElement} video
   * @param {HTMLCanvasElement} canvas laid out as the video
   * @param {HTMLElement} note where to say that landmarks are late
   * @param {OverlayEvents} events
   */
  constructor(video, canvas, note, events) {
    this.#video = video;
    this.#canvas = new PoseCanvas(canvas);
    this.#note = note;
    this.#events = events;
    setInterval(() => this.#look(), LOOK_INTERVAL_MS);
    this.#awaitFrame();
  }

  get #mode() {
    return this.debug.mode;
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
    this.#past = [];
    this.#lacksTimes = false;
    this.#playout.clear(performance.now());
    this.debug.delay_ms = 0;
    this.#lateness.clear();
    this.#held.clear();
  }

  /** Nothing is shown any more. */
  clear() {
    this.#shown = null;
    this.#drawn = null;
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
    const now_ms = performance.now();
    this.#poses.add(message, now_ms);
    if (this.#isPaused && this.#mode !== "packets") return;
    if (this.#mode === "packets") this.#onLatePose(message, now_ms);
    else if (this.#mode === "camera") this.#showHeld();
    else if (this.#mode === "alone") this.#drawSoon();
  }

  /**
   * The picture as it is seen, with its landmarks; null when there is none.
   * @param {boolean} isMirrored
   * @returns {Promise<HTMLCanvasElement | null>}
   */
  async snapshot(isMirrored) {
    // The video may be a frame further than the canvas, but not right after a drawing.
    if (this.#mode === "packets" && !this.#video.paused) await this.#nextDrawing();
    const isFilm = this.#mode === "off";
    const { videoWidth, videoHeight } = this.#video;
    const size = isFilm ? { width: videoWidth, height: videoHeight } : this.#shown;
    if (!size?.width) return null;
    const [width, height] = [String(size.width), String(size.height)];
    const copy = element("canvas", { width, height });
    const context = copy.getContext("2d");
    if (!context) return null;
    context.fillRect(0, 0, copy.width, copy.height);
    if (isMirrored) context.setTransform(-1, 0, 0, 1, copy.width, 0);
    if (this.#mode !== "alone") {
      context.drawImage(this.#shown?.picture ?? this.#video, 0, 0, copy.width, copy.height);
    }
    if (!isFilm) drawPoses(context, this.#drawn?.poses ?? [], size);
    return copy;
  }

  #nextDrawing() {
    return new Promise((resolve) => {
      this.#waiting.push(() => resolve(undefined));
      setTimeout(resolve, SNAPSHOT_PATIENCE_MS);
    });
  }

  #awaitFrame() {
    if (!canTellFrames) return;
    this.#video.requestVideoFrameCallback((now_ms, metadata) => {
      this.#awaitFrame();
      this.#onFrame(now_ms, metadata);
    });
  }

  /**
   * A frame is going on display.
   * @param {number} now_ms
   * @param {VideoFrameCallbackMetadata} metadata
   */
  #onFrame(now_ms, { rtpTimestamp, captureTime, expectedDisplayTime, width, height }) {
    if (this.#mode === "camera") {
      this.#lacksTimes = captureTime === undefined;
      this.#held.add(this.#video, { width, height }, captureTime ?? null);
      this.#showHeld();
      return;
    }
    const near = this.#poses.newest?.pts ?? this.#past.at(-1)?.pts ?? 0;
    const pts = this.#clock?.ptsOfPacket(rtpTimestamp, near) ?? null;
    this.#lacksTimes = rtpTimestamp === undefined;
    const frame = {
      ...{ width, height, pts, rtpTimestamp: rtpTimestamp ?? null, captured_ms: null },
      ...{ at_ms: now_ms, shown_ms: expectedDisplayTime, picture: null },
    };
    const found = this.#poses.find(pts, PACKET_TOLERANCE);
    this.#tellLatency(frame, found?.message ?? null);
    if (this.#mode !== "packets") return;
    this.#past.push(frame);
    if (this.#past.length > SHOWN_KEPT) this.#past.shift();
    if (found) this.#noteLateness(found.at_ms - now_ms, now_ms);
    this.#show(frame, found?.message ?? null);
    if (found) this.#settleSnapshots();
  }

  /**
   * Its frame may be on display already, or gone.
   * @param {PoseMessage} message
   * @param {number} now_ms
   */
  #onLatePose(message, now_ms) {
    const isIts = (/** @type {Shown} */ { pts }) =>
      pts !== null && Math.abs(pts - message.pts) <= PACKET_TOLERANCE;
    const frame = this.#past.findLast(isIts);
    if (!frame) return;
    this.#noteLateness(now_ms - frame.at_ms, now_ms);
    if (frame === this.#shown && !this.#drawn) this.#show(frame, message, true);
  }

  /**
   * @param {number} lateness_ms
   * @param {number} now_ms
   */
  #noteLateness(lateness_ms, now_ms) {
    if (!this.#playout.note(lateness_ms, now_ms)) return;
    this.debug.delay_ms = this.#playout.delay_ms;
    this.#events.onDelay(this.#playout.delay_ms);
  }

  /** The camera's frame whose turn it is: its landmarks have come, or it has waited too long. */
  #showHeld() {
    const epoch = this.#poses.newest?.epoch ?? this.#clock?.epoch ?? 0;
    const next = this.#held.next(
      (captured_ms) => this.#clock?.ptsOfCapture(captured_ms, epoch) ?? null,
      (pts) => this.#poses.find(pts, CAPTURE_TOLERANCE)?.message ?? null,
    );
    if (!next) return;
    const before = this.#shown?.picture;
    const now_ms = performance.now();
    const frame = { ...next.frame, shown_ms: now_ms };
    this.#show(frame, next.message);
    this.#tellLatency(frame, next.message);
    if (before) this.#held.giveBack(before);
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
      const frame = {
        ...{ width, height, pts, rtpTimestamp: null, captured_ms: null },
        ...{ at_ms: now_ms, shown_ms: now_ms, picture: null },
      };
      this.#show(frame, message);
      this.#tellLatency(frame, message);
    });
  }

  /**
   * @param {Shown} frame
   * @param {PoseMessage | null} message
   */
  #tellLatency({ shown_ms, pts, captured_ms }, message) {
    const epoch = this.#poses.newest?.epoch ?? 0;
    const latency = this.#clock?.latencyOf({ shown_ms, pts, captured_ms, message, epoch });
    if (latency) this.#events.onLatency(latency);
  }

  /**
   * @param {Shown} frame goes on display, or is on it
   * @param {PoseMessage | null} message
   * @param {boolean} late
   */
  #show(frame, message, late = false) {
    this.#shown = frame;
    this.#drawn = message;
    if (this.#mode !== "off") this.#canvas.paint(frame, frame.picture, message?.poses ?? []);
    this.#lateness.note(message !== null, performance.now());
    const { pts, rtpTimestamp } = frame;
    const drawing = { pts, message: message?.pts ?? null, rtpTimestamp, late };
    this.debug.recent.push(drawing);
    if (this.debug.recent.length > DRAWINGS_KEPT) this.debug.recent.shift();
    this.debug.onDraw?.(drawing);
  }

  #settleSnapshots() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Now and then: a frame that has waited too long, and what is to be said. */
  #look() {
    if (this.#isPaused || this.#mode === "off") return;
    if (this.#mode === "camera") this.#showHeld();
    const now_ms = performance.now();
    const isStale = this.#mode === "alone" && now_ms - (this.#shown?.at_ms ?? now_ms) > STALE_AFTER_MS;
    if (isStale && this.#drawn) this.clear();
    const isLate = isStale || this.#lateness.isLate(now_ms);
    setText(this.#note, isLate ? (this.#lacksTimes ? NO_FRAME_TIMES : "landmarks late") : "");
  }
}
