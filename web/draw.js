// Poses on a canvas, in the look of the pictures that the server annotates (streamer/overlay.py).

import { CONNECTIONS, MIN_VISIBILITY, sideOf } from "./landmarks.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {ReturnType<typeof sideOf>} Side */
/** @typedef {{width: number, height: number}} Size */
/**
 * What is drawn of each pose: a stream's `overlay`, as the server has it.
 * @typedef {{style: "skeleton" | "landmarks" | "none", side_colours: boolean}} Look
 */

/** @type {Look} */
export const DEFAULT_LOOK = { style: "skeleton", side_colours: true };

/** @type {Record<Side, string>} */
const COLOURS = { left: "rgb(255 138 0)", right: "rgb(0 190 255)", middle: "rgb(235 235 235)" };
const SIDES = /** @type {Side[]} */ (["middle", "left", "right"]);
const LINE_MIN_PX = 2; // for a large picture on a small screen
const FULL_TURN = 2 * Math.PI;

/** By colour. What joins left and right has the colour of the middle. */
const LINES = SIDES.map((side) =>
  CONNECTIONS.filter(([a, b]) => (sideOf(a) === sideOf(b) ? sideOf(a) : "middle") === side),
);
const DOTS = SIDES.map((side) =>
  Array.from({ length: 33 }, (_, index) => index).filter((index) => sideOf(index) === side),
);

/** @param {Size} size of the picture in its own pixels */
export function thicknessFor({ width, height }) {
  return Math.max(2, Math.round(Math.min(width, height) / 180));
}

/**
 * Draws over the whole canvas, whose size need not be the picture's: lines scale with it.
 * @param {CanvasRenderingContext2D} context
 * @param {readonly Pose[]} poses
 * @param {Size} picture in its own pixels
 * @param {Look} [look]
 */
export function drawPoses(context, poses, picture, look = DEFAULT_LOOK) {
  if (look.style === "none") return;
  const { width, height } = context.canvas;
  const scale = width / picture.width;
  const thickness = thicknessFor(picture);
  const radius = (thickness + 1) * scale;
  context.lineWidth = Math.max(thickness * scale, LINE_MIN_PX);
  context.lineCap = "round";
  for (const { landmarks } of poses) {
    /** @param {number} index */
    const spot = (index) => {
      const landmark = landmarks[index];
      if (!landmark || landmark[3] < MIN_VISIBILITY) return null;
      return /** @type {const} */ ([landmark[0] * width, landmark[1] * height]);
    };
    SIDES.forEach((side, group) => {
      if (look.style !== "skeleton") return;
      context.strokeStyle = COLOURS[look.side_colours ? side : "middle"];
      context.beginPath();
      for (const [a, b] of LINES[group] ?? []) {
        const [from, to] = [spot(a), spot(b)];
        if (!from || !to) continue;
        context.moveTo(...from);
        context.lineTo(...to);
      }
      context.stroke();
    });
    SIDES.forEach((side, group) => {
      context.fillStyle = COLOURS[look.side_colours ? side : "middle"];
      context.beginPath();
      for (const index of DOTS[group] ?? []) {
        const place = spot(index);
        if (!place) continue;
        context.moveTo(place[0] + radius, place[1]);
        context.arc(...place, radius, 0, FULL_TURN);
      }
      context.fill();
    });
  }
}

/** A canvas that lies exactly over a video, and draws again when the page's layout changes. */
export class PoseCanvas {
  #canvas;
  #context;
  /** @type {Size} on the page, CSS px */
  #box = { width: 0, height: 0 };
  /** @type {{frame: Size, picture: CanvasImageSource | null, poses: readonly Pose[]} | null} */
  #painted = null;
  #look = DEFAULT_LOOK;

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

  get look() {
    return this.#look;
  }

  set look(look) {
    this.#look = look;
    this.#repaint();
  }

  clear() {
    this.#painted = null;
    this.#context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
  }

  /**
   * @param {Size} frame in its own pixels
   * @param {CanvasImageSource | null} picture null: the video beneath shows it
   * @param {readonly Pose[]} poses
   */
  paint(frame, picture, poses) {
    this.#painted = { frame, picture, poses };
    this.#repaint();
  }

  #repaint() {
    if (!this.#painted) return;
    const { frame, picture, poses } = this.#painted;
    this.#fit(frame);
    const { width, height } = this.#canvas;
    this.#context.clearRect(0, 0, width, height);
    if (picture) this.#context.drawImage(picture, 0, 0, width, height);
    drawPoses(this.#context, poses, frame, this.#look);
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
