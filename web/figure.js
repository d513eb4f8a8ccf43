// A person on a canvas: connections as lines, landmarks as dots; what can't be seen fainter.

import { CONNECTIONS, MIN_VISIBILITY, sideOf } from "./landmarks.js";
import { colourOf, lineWidth } from "./look.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./look.js").Sheet} Sheet */
/** @typedef {import("./look.js").Side} Side */
/** @typedef {"plain" | "faint" | null} Sight how a landmark is drawn; null: not at all */

/** Predicted landmarks less likely than this to be in the picture are not drawn at all. */
const MIN_PRESENCE = 0.5;

/** How much of predicted landmarks' colour is seen. They are half as wide, too. */
const FAINT = 0.5;

const LINE_MIN_PX = 2; // for a large picture on a small screen
const FULL_TURN = 2 * Math.PI;
const SIDES = /** @type {Side[]} */ (["middle", "left", "right"]);

/** By colour. What joins left and right has the colour of the middle. */
const LINES = SIDES.map((side) =>
  CONNECTIONS.filter(([a, b]) => (sideOf(a) === sideOf(b) ? sideOf(a) : "middle") === side),
);
const DOTS = SIDES.map((side) =>
  Array.from({ length: 33 }, (_, index) => index).filter((index) => sideOf(index) === side),
);

/**
 * @param {Pose} pose
 * @param {number} index of a landmark
 * @returns {Sight}
 */
export function sightOf({ landmarks, predicted }, index) {
  const [, , , visibility, presence] = landmarks[index] ?? [0, 0, 0, 0, 0];
  if (!predicted) return visibility >= MIN_VISIBILITY ? "plain" : null;
  if (!predicted.includes(index)) return "plain";
  return presence >= MIN_PRESENCE ? "faint" : null;
}

/**
 * The width of lines on the canvas.
 * @param {Sheet} sheet
 * @param {Look} look
 */
export function widthOn({ picture, scale }, look) {
  return Math.max(lineWidth(look, picture) * scale, LINE_MIN_PX);
}

/**
 * @param {Sheet} sheet
 * @param {Pose} pose
 * @param {Look} look
 */
export function drawFigure(sheet, pose, look) {
  const sights = pose.landmarks.map((_, index) => sightOf(pose, index));
  const { context } = sheet;
  if (sights.includes("faint")) {
    context.globalAlpha = FAINT;
    drawPart(sheet, pose, look, sights, "faint");
    context.globalAlpha = 1;
  }
  drawPart(sheet, pose, look, sights, "plain");
}

/**
 * The landmarks of one kind. A connection of two kinds is a faint one.
 * @param {Sheet} sheet
 * @param {Pose} pose
 * @param {Look} look
 * @param {Sight[]} sights
 * @param {"plain" | "faint"} kind
 */
function drawPart(sheet, { id, landmarks }, look, sights, kind) {
  const { context, picture, scale } = sheet;
  const { width, height } = context.canvas;
  const share = kind === "faint" ? 0.5 : 1;
  const radius = (lineWidth(look, picture) + 1) * scale * share;
  context.lineWidth = widthOn(sheet, look) * share;
  context.lineCap = "round";
  /** @param {number} index */
  const spot = (index) => {
    const [x, y] = landmarks[index] ?? [0, 0];
    return /** @type {const} */ ([x * width, y * height]);
  };
  /** @type {(a: number, b: number) => boolean} */
  const joins = (a, b) => {
    const [one, other] = [sights[a], sights[b]];
    return Boolean(one && other) && (one === other ? one : "faint") === kind;
  };
  SIDES.forEach((side, group) => {
    if (look.style !== "skeleton") return;
    context.strokeStyle = colourOf(look, id, side);
    context.beginPath();
    for (const [a, b] of LINES[group] ?? []) {
      if (!joins(a, b)) continue;
      context.moveTo(...spot(a));
      context.lineTo(...spot(b));
    }
    context.stroke();
  });
  SIDES.forEach((side, group) => {
    context.fillStyle = colourOf(look, id, side);
    context.beginPath();
    for (const index of DOTS[group] ?? []) {
      if (sights[index] !== kind) continue;
      const place = spot(index);
      context.moveTo(place[0] + radius, place[1]);
      context.arc(...place, radius, 0, FULL_TURN);
    }
    context.fill();
  });
}
