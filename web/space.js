// The 3D view of the world landmarks: people side by side on a floor, to be turned with the mouse, a
// finger or the arrow keys.

import { CONNECTIONS, MIN_VISIBILITY, sideOf } from "./landmarks.js";
import { projector, START, turned } from "./projection.js";
import { Surface } from "./surface.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./projection.js").Point} Point */
/** @typedef {import("./projection.js").Projected} Projected */
/** @typedef {import("./surface.js").Colours} Colours */

const APART_M = 1.1; // people who are found together, as their world landmarks don't say where they are
const FLOOR_M = 1.5; // half the side of the grid
const FLOOR_STEP_M = 0.5;
const FLOOR_START_M = 0.95; // below the hips of a standing person
const FLOOR_EASE = 0.15; // of the way at each message: the lowest foot jitters
const LINE_M = 0.018;
const UNSEEN_ALPHA = 0.25;
const TURN_PER_PX = 0.01;
const TURN_PER_KEY = 0.12;
const ZOOM_PER_KEY = 1.15;
const ZOOM_PER_WHEEL_PX = 0.0015;
const AXIS_PX = 22;
const FULL_TURN = 2 * Math.PI;
/** @type {Record<string, {yaw?: number, pitch?: number}>} */
const TURNS = {
  ArrowLeft: { yaw: -TURN_PER_KEY },
  ArrowRight: { yaw: TURN_PER_KEY },
  ArrowUp: { pitch: TURN_PER_KEY },
  ArrowDown: { pitch: -TURN_PER_KEY },
};
const AXES = /** @type {[string, Point][]} */ ([
  ["x", [1, 0, 0]],
  ["y", [0, 1, 0]],
  ["z", [0, 0, 1]],
]);

export class SpaceView {
  /** Left and right as in a mirror, as the picture is then. */
  isMirrored = false;

  #canvas;
  #surface;
  #view = { ...START };
  /** @type {readonly Pose[]} */
  #poses = [];
  #floor_m = FLOOR_START_M;
  /** @type {Map<number, PointerEvent>} fingers on the canvas */
  #pointers = new Map();

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#surface = new Surface(canvas, (context, size, colours) => {
      const people = this.#poses.length;
      const distance_m = this.#view.distance_m * (1 + 0.3 * Math.max(0, people - 1));
      const project = projector({ ...this.#view, distance_m }, size);
      drawFloor(context, project, this.#floor_m, colours);
      this.#poses.forEach((pose, index) => {
        const aside_m = (index - (people - 1) / 2) * APART_M;
        this.#drawPerson(context, project, pose, aside_m, colours);
      });
      drawAxes(context, projector(this.#view, { width: 1, height: 1 }), size, colours);
    });
    this.#listen();
  }

  /** @param {readonly Pose[]} poses */
  show(poses) {
    if (poses.length === 0 && this.#poses.length === 0) return;
    this.#poses = poses;
    const lowest_m = Math.max(...poses.flatMap(({ world }) => world.map(([, y]) => y)));
    if (Number.isFinite(lowest_m)) this.#floor_m += (lowest_m - this.#floor_m) * FLOOR_EASE;
    this.#surface.invalidate();
  }

  #listen() {
    const canvas = this.#canvas;
    canvas.addEventListener("pointerdown", (event) => {
      this.#pointers.set(event.pointerId, event);
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => this.#onMove(event));
    for (const end of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(end, ({ pointerId }) => this.#pointers.delete(pointerId));
    }
    canvas.addEventListener("dblclick", () => this.#turn(null));
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault(); // the page stays where it is
        this.#zoom(Math.exp(event.deltaY * ZOOM_PER_WHEEL_PX));
      },
      { passive: false },
    );
    canvas.addEventListener("keydown", (event) => {
      const turn = TURNS[event.key];
      if (turn) this.#turn(turn);
      else if (event.key === "+" || event.key === "=") this.#zoom(1 / ZOOM_PER_KEY);
      else if (event.key === "-") this.#zoom(ZOOM_PER_KEY);
      else if (event.key === "0" || event.key === "Home") this.#turn(null);
      else return;
      event.preventDefault();
    });
  }

  /** @param {PointerEvent} event one finger turns, two zoom */
  #onMove(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.#pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    this.#pointers.set(event.pointerId, event);
    if (other) this.#zoom(apart_px(before, other) / Math.max(1, apart_px(event, other)));
    else {
      const yaw = (event.clientX - before.clientX) * TURN_PER_PX;
      this.#turn({ yaw, pitch: (event.clientY - before.clientY) * TURN_PER_PX });
    }
  }

  /** @param {{yaw?: number, pitch?: number} | null} by null: back to the start */
  #turn(by) {
    this.#view = by ? turned(this.#view, by) : { ...START };
    this.#surface.invalidate();
  }

  /** @param {number} factor of the distance */
  #zoom(factor) {
    this.#view = turned(this.#view, { distance_m: this.#view.distance_m * factor });
    this.#surface.invalidate();
  }

  /**
   * Far limbs first, so that near ones lie over them. What is unseen is faint.
   * @param {CanvasRenderingContext2D} context
   * @param {(point: Point) => Projected} project
   * @param {Pose} pose
   * @param {number} aside_m
   * @param {Colours} colours
   */
  #drawPerson(context, project, { world, landmarks }, aside_m, colours) {
    const mirror = this.isMirrored ? -1 : 1;
    const spots = world.map(([x, y, z]) => project([x * mirror + aside_m, y, z]));
    const isSeen = (/** @type {number} */ index) => (landmarks[index]?.[3] ?? 0) >= MIN_VISIBILITY;
    const limbs = CONNECTIONS.flatMap(([a, b]) => {
      const [from, to] = [spots[a], spots[b]];
      if (!from || !to) return [];
      const side = sideOf(a) === sideOf(b) ? sideOf(a) : "middle";
      return [{ from, to, side, seen: isSeen(a) && isSeen(b), depth_m: from.depth_m + to.depth_m }];
    });
    context.lineCap = "round";
    for (const { from, to, side, seen } of limbs.sort((a, b) => b.depth_m - a.depth_m)) {
      context.globalAlpha = seen ? 1 : UNSEEN_ALPHA;
      context.strokeStyle = side === "middle" ? colours.muted : colours[side];
      context.lineWidth = Math.max(1.5, ((from.scale + to.scale) / 2) * LINE_M);
      context.beginPath();
      context.moveTo(from.x, from.y);
      context.lineTo(to.x, to.y);
      context.stroke();
    }
    spots.forEach(({ x, y, scale }, index) => {
      const side = sideOf(index);
      context.globalAlpha = isSeen(index) ? 1 : UNSEEN_ALPHA;
      context.fillStyle = side === "middle" ? colours.text : colours[side];
      context.beginPath();
      context.arc(x, y, Math.max(1.5, scale * LINE_M * (index > 10 ? 1 : 0.5)), 0, FULL_TURN);
      context.fill();
    });
    context.globalAlpha = 1;
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {(point: Point) => Projected} project
 * @param {number} floor_m
 * @param {Colours} colours
 */
function drawFloor(context, project, floor_m, colours) {
  context.strokeStyle = colours.line;
  context.lineWidth = 1;
  context.beginPath();
  for (let at = -FLOOR_M; at <= FLOOR_M; at += FLOOR_STEP_M) {
    for (const [from, to] of /** @type {[Point, Point][]} */ ([
      [[at, floor_m, -FLOOR_M], [at, floor_m, FLOOR_M]],
      [[-FLOOR_M, floor_m, at], [FLOOR_M, floor_m, at]],
    ])) {
      const [a, b] = [project(from), project(to)];
      context.moveTo(a.x, a.y);
      context.lineTo(b.x, b.y);
    }
  }
  context.stroke();
}

/**
 * Where the landmarks' x, y and z point, in the corner.
 * @param {CanvasRenderingContext2D} context
 * @param {(point: Point) => Projected} project
 * @param {import("./surface.js").Size} size
 * @param {Colours} colours
 */
function drawAxes(context, project, { height }, colours) {
  const origin = project([0, 0, 0]);
  const corner = { x: AXIS_PX + 14, y: height - AXIS_PX - 18 };
  context.strokeStyle = context.fillStyle = colours.muted;
  context.lineWidth = 1.5;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const [name, axis] of AXES) {
    const tip = project(axis);
    // Divided by the scale there, the perspective is gone: only the direction counts.
    const [x, y] = [(tip.x - origin.x) / tip.scale, (tip.y - origin.y) / tip.scale];
    context.beginPath();
    context.moveTo(corner.x, corner.y);
    context.lineTo(corner.x + x * AXIS_PX, corner.y + y * AXIS_PX);
    context.stroke();
    context.fillText(name, corner.x + x * (AXIS_PX + 8), corner.y + y * (AXIS_PX + 8));
  }
}

/**
 * @param {PointerEvent} a
 * @param {PointerEvent} b
 */
function apart_px(a, b) {
  return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
}
