// Charts of chosen joints' angles over the last ten seconds of media time, left and right.

import { AngleHistory, JOINTS, SIDES, WINDOW_S } from "./angle_history.js";
import { button, byId, element, setText } from "./dom.js";
import { t } from "./i18n.js";
import { Surface } from "./surface.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./angle_history.js").Joint} Joint */
/** @typedef {import("./angle_history.js").Side} Side */
/** @typedef {import("./surface.js").Colours} Colours */
/** @typedef {{joint: Joint, root: HTMLElement, values: Record<Side, HTMLElement>, surface: Surface}} Chart */

const STORAGE_KEY = "streamer.joints";
const DEFAULT = ["elbow", "knee"];
const LEVEL_DEGREES = 90;
const TICK_S = 2;
const MARGIN_PX = { left: 26, right: 4, top: 6, bottom: 6 };

const NAMES = {
  elbow: t("elbows"),
  shoulder: t("shoulders"),
  hip: t("hips"),
  knee: t("knees"),
  ankle: t("ankles"),
};
const SIDE_NAMES = { left: t("left"), right: t("right") };

export class AngleCharts {
  #history = new AngleHistory();
  #chips = byId("joints", HTMLElement);
  #list = byId("charts", HTMLElement);
  #chosen = new Set(remembered());
  /** @type {Map<string, Chart>} each made once */
  #made = new Map();
  /** @type {Chart[]} of the chosen joints */
  #charts = [];

  constructor() {
    for (const { key } of JOINTS) {
      const chip = button(NAMES[key], () => this.#toggle(key, chip), { class: "chip" });
      chip.setAttribute("aria-pressed", String(this.#chosen.has(key)));
      this.#chips.append(chip);
    }
    this.#build();
  }

  clear() {
    this.#history.clear();
    this.#redraw();
  }

  /**
   * @param {PoseMessage} message
   * @param {Pose | undefined} pose of the person to follow
   */
  add(message, pose) {
    this.#history.add(message, pose);
    this.#redraw();
  }

  /**
   * The figures, which change less often than the lines: they are to be read.
   * @param {boolean} isLive without it there are none
   */
  showValues(isLive = true) {
    for (const { joint, values } of this.#charts) {
      for (const side of SIDES) {
        const degrees = isLive ? this.#history.current(joint, side) : null;
        setText(values[side], degrees === null ? "–" : `${Math.round(degrees)}°`.replace("-", "−"));
      }
    }
  }

  /**
   * @param {string} key
   * @param {HTMLElement} chip
   */
  #toggle(key, chip) {
    if (!this.#chosen.delete(key)) this.#chosen.add(key);
    chip.setAttribute("aria-pressed", String(this.#chosen.has(key)));
    localStorage.setItem(STORAGE_KEY, [...this.#chosen].join());
    this.#build();
    this.showValues();
  }

  #build() {
    this.#charts = JOINTS.filter(({ key }) => this.#chosen.has(key)).map((joint) => {
      const chart = this.#made.get(joint.key) ?? this.#makeChart(joint);
      this.#made.set(joint.key, chart);
      return chart;
    });
    this.#list.replaceChildren(...this.#charts.map(({ root }) => root));
  }

  /**
   * @param {Joint} joint
   * @returns {Chart}
   */
  #makeChart(joint) {
    const values = { left: element("b"), right: element("b") };
    const legend = SIDES.map((side) =>
      element("span", { class: "value", "data-side": side }, SIDE_NAMES[side], values[side]),
    );
    const caption = element("figcaption", {}, element("span", {}, NAMES[joint.key]), ...legend);
    const canvas = element("canvas", { "aria-hidden": "true" }); // its figures are in the caption
    const root = element("figure", { class: "chart", "data-joint": joint.key }, caption, canvas);
    const surface = new Surface(canvas, (context, size, colours) => {
      const scale = scaleFor(size, joint, this.#history.newest_s);
      drawGrid(context, scale, size, joint, this.#history.newest_s, colours);
      for (const side of SIDES) {
        context.strokeStyle = context.fillStyle = colours[side];
        for (const piece of this.#history.pieces(joint, side)) drawPiece(context, scale, piece);
      }
    });
    return { joint, root, values, surface };
  }

  #redraw() {
    for (const { surface } of this.#charts) surface.invalidate();
  }
}

function remembered() {
  const saved = localStorage.getItem(STORAGE_KEY);
  return saved === null ? DEFAULT : saved.split(",");
}

/** @typedef {{x: (t_s: number) => number, y: (degrees: number) => number}} Scale */

/**
 * @param {import("./surface.js").Size} size
 * @param {Joint} joint
 * @param {number} newest_s
 * @returns {Scale}
 */
function scaleFor({ width, height }, { least, most }, newest_s) {
  const { left, right, top, bottom } = MARGIN_PX;
  return {
    x: (t_s) => width - right - ((newest_s - t_s) / WINDOW_S) * (width - left - right),
    y: (degrees) => height - bottom - ((degrees - least) / (most - least)) * (height - top - bottom),
  };
}

/**
 * The lines across are degrees; those down are even seconds of media time, and move with it.
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} scale
 * @param {import("./surface.js").Size} size
 * @param {Joint} joint
 * @param {number} newest_s
 * @param {Colours} colours
 */
function drawGrid(context, { x, y }, { width }, { least, most }, newest_s, colours) {
  context.strokeStyle = colours.line;
  context.fillStyle = colours.muted;
  context.lineWidth = 1;
  context.font = "10px system-ui, sans-serif";
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.beginPath();
  for (let level = least; level <= most; level += LEVEL_DEGREES) {
    context.fillText(String(level).replace("-", "−"), MARGIN_PX.left - 6, y(level));
    context.moveTo(MARGIN_PX.left, Math.round(y(level)) + 0.5);
    context.lineTo(width - MARGIN_PX.right, Math.round(y(level)) + 0.5);
  }
  const first_s = Math.ceil((newest_s - WINDOW_S) / TICK_S) * TICK_S;
  for (let at_s = first_s; at_s <= newest_s; at_s += TICK_S) {
    context.moveTo(x(at_s), y(most));
    context.lineTo(x(at_s), y(least));
  }
  context.stroke();
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} scale
 * @param {import("./angle_history.js").Sample[]} piece
 */
function drawPiece(context, { x, y }, piece) {
  const [first] = piece;
  if (!first) return;
  context.lineWidth = 1.5;
  context.lineJoin = "round";
  context.beginPath();
  context.moveTo(x(first.t_s), y(first.degrees));
  for (const { t_s, degrees } of piece) context.lineTo(x(t_s), y(degrees));
  if (piece.length === 1) context.lineTo(x(first.t_s) + 1, y(first.degrees)); // one that stands alone
  context.stroke();
}
