// What is drawn of each pose, how wide, and in which colours, as streamer/overlay has it.

import { sideOf } from "./landmarks.js";

/** @typedef {{width: number, height: number}} Size */
/** @typedef {ReturnType<typeof sideOf>} Side */
/**
 * A stream's `overlay`, as the server has it. `line_width` in pixels of the picture; 0: as suits it.
 * @typedef {object} Look
 * @property {"skeleton" | "landmarks" | "none"} style
 * @property {boolean} side_colours
 * @property {number} line_width
 * @property {boolean} angles
 * @property {boolean} ids
 * @property {boolean} confidence
 * @property {boolean} trails
 */
/**
 * What is drawn on: a canvas that shows a picture, at `scale` of its own pixels.
 * @typedef {object} Sheet
 * @property {CanvasRenderingContext2D} context
 * @property {Size} picture in its own pixels
 * @property {number} scale
 * @property {boolean} isMirrored the page turns the canvas around, and letters must stay readable
 */

/** @type {Look} */
export const DEFAULT_LOOK = {
  style: "skeleton",
  side_colours: true,
  line_width: 0,
  angles: false,
  ids: false,
  confidence: false,
  trails: false,
};

export const DARK = "rgb(16 16 16)";
export const LIGHT = "rgb(235 235 235)";
/** @type {Record<Side, string>} */
const SIDES = { left: "rgb(255 138 0)", right: "rgb(0 190 255)", middle: LIGHT };
const PEOPLE = [
  "rgb(255 214 10)",
  "rgb(48 209 88)",
  "rgb(255 105 180)",
  "rgb(191 140 255)",
  "rgb(255 95 85)",
  "rgb(102 230 200)",
  "rgb(222 184 135)",
  "rgb(120 180 255)",
];

/** @param {number} id */
export function personColour(id) {
  return PEOPLE[(id - 1) % PEOPLE.length] ?? LIGHT;
}

/**
 * @param {Look} look
 * @param {number} id of the person
 * @param {Side} side
 */
export function colourOf(look, id, side) {
  if (look.side_colours) return SIDES[side];
  return look.ids ? personColour(id) : LIGHT;
}

/** @param {Size} size of the picture in its own pixels */
export function suitingWidth({ width, height }) {
  return Math.max(2, Math.round(Math.min(width, height) / 180));
}

/**
 * In pixels of the picture.
 * @param {Look} look
 * @param {Size} picture
 */
export function lineWidth(look, picture) {
  return look.line_width || suitingWidth(picture);
}

/**
 * Whether there are letters in it, which a mirror turns around.
 * @param {Look} look
 */
export function hasLetters({ style, angles, ids, confidence }) {
  return style !== "none" && (angles || ids || confidence);
}
