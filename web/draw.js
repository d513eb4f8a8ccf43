// Poses on a canvas, in the look of the pictures that the server annotates (streamer/overlay).

import { drawFigure } from "./figure.js";
import { drawLabels } from "./labels.js";
import { DEFAULT_LOOK } from "./look.js";
import { Trails } from "./trails.js";

/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./look.js").Size} Size */

/**
 * Draws over the whole canvas, whose size need not be the picture's: lines and letters scale with it.
 * @param {import("./look.js").Sheet} sheet
 * @param {PoseMessage} message
 * @param {Trails} trails
 * @param {Look} look
 */
export function drawPoses(sheet, { poses }, trails, look) {
  if (look.style === "none") return;
  if (look.trails) trails.draw(sheet, look);
  for (const pose of poses) drawFigure(sheet, pose, look);
  for (const pose of poses) drawLabels(sheet, pose, look);
}

/** A canvas that lies exactly over a video, and draws again when the page's layout changes. */
export class PoseCanvas {
  #canvas;
  #context;
  /** @type {Size} on the page, CSS px */
  #box = { width: 0, height: 0 };
  /** @type {{frame: Size, picture: CanvasImageSource | null, message: PoseMessage | null} | null} */
  #painted = null;
  #look = DEFAULT_LOOK;
  #trails = new Trails();
  #isMirrored = false;

  /** @param {HTMLCanvasElement} canvas laid out as the video: the same box, the same object-fit */
  constructor(canvas) {
    this.#canvas = canvas;
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser draws on no canvas");
    this.#context = context;
    new ResizeObserver(([entry]) => {
      if (entry) this.#box = entry.contentRect;
      this.#repaint();
    }).observe(canvas);
  }

  /** @param {boolean} isShown */
  set isShown(isShown) {
    this.#canvas.hidden = !isShown;
  }

  /** @param {Look} look */
  set look(look) {
    this.#look = look;
    this.#repaint();
  }

  /** @param {boolean} isMirrored by the page's style sheet */
  set isMirrored(isMirrored) {
    this.#isMirrored = isMirrored;
    this.#repaint();
  }

  clear() {
    this.#painted = null;
    this.#trails.clear();
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /**
   * @param {Size} frame in its own pixels
   * @param {CanvasImageSource | null} picture null: the video beneath shows it
   * @param {PoseMessage | null} message
   */
  paint(frame, picture, message) {
    this.#painted = { frame, picture, message };
    if (message) this.#trails.add(message);
    this.#repaint();
  }

  /**
   * What is on this canvas but for the picture, on another one.
   * @param {CanvasRenderingContext2D} context
   */
  drawOn(context) {
    if (!this.#painted?.message) return;
    const { frame: picture, message } = this.#painted;
    const scale = context.canvas.width / picture.width;
    const sheet = { context, picture, scale, isMirrored: this.#isMirrored };
    drawPoses(sheet, message, this.#trails, this.#look);
  }

  #repaint() {
    if (!this.#painted) return;
    const { frame, picture } = this.#painted;
    this.#fit(frame);
    const { width, height } = this.#canvas;
    this.#context.clearRect(0, 0, width, height);
    if (picture) this.#context.drawImage(picture, 0, 0, width, height);
    this.drawOn(this.#context);
  }

  /**
   * With the frame's proportions, `object-fit` places the canvas as it places the video; with the
   * screen's resolution, lines are sharp.
   * @param {Size} frame
   */
  #fit(frame) {
    const onPage = Math.min(this.#box.width / frame.width, this.#box.height / frame.height);
    const scale = onPage > 0 ? onPage * devicePixelRatio : 1;
    const [width, height] = [Math.round(frame.width * scale), Math.round(frame.height * scale)];
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
  }
}
