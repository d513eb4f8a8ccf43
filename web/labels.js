// Numbers beside the joints and over the heads, as streamer/overlay/labels.py places them.

import { anglesOf } from "./angles.js";
import { sightOf } from "./figure.js";
import { LANDMARK_NAMES } from "./landmarks.js";
import { DARK, LIGHT, lineWidth, personColour } from "./look.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./look.js").Sheet} Sheet */
/** @typedef {{text: string, ink: string, ground: string}} Label */
/** @typedef {{left: number, top: number, width: number, height: number}} Place in pixels of the picture */

/** `direction`: to which side of the joint the number goes; that of the joint. */
const JOINTS = /** @type {const} */ ([["left", 1], ["right", -1]]).flatMap(([side, direction]) =>
  ["shoulder", "elbow", "hip", "knee"].map((joint) => ({
    angle: `${side}_${joint}`,
    index: LANDMARK_NAMES.indexOf(`${side} ${joint}`),
    direction,
  })),
);
const [NOSE, LEFT_SHOULDER, RIGHT_SHOULDER] = ["nose", "left shoulder", "right shoulder"].map((name) =>
  LANDMARK_NAMES.indexOf(name),
);

/** From the nose, how far the top of the head is, in distances from the nose to the shoulders' middle. */
const CROWN = 0.75;

// Of a digit's height:
/** @type {Record<string, number>} */
const ADVANCES = { "%": 1.25, "°": 0.5 };
const DIGIT_ADVANCE = 0.95;
const MARGIN = 0.4;
const FONT_SIZE = 1 / 0.72;

/**
 * @param {Sheet} sheet
 * @param {Pose} pose
 * @param {Look} look
 */
export function drawLabels(sheet, pose, look) {
  if (look.angles) drawAngles(sheet, pose, look);
  /** @type {Label[]} */
  const badges = [];
  if (look.ids) badges.push({ text: String(pose.id), ink: DARK, ground: personColour(pose.id) });
  if (look.confidence) {
    badges.push({ text: `${Math.round(pose.score * 100)}%`, ink: LIGHT, ground: DARK });
  }
  if (badges.length > 0) drawOverHead(sheet, pose, badges);
}

/**
 * Those that can be trusted, of joints in the picture.
 * @param {Sheet} sheet
 * @param {Pose} pose
 * @param {Look} look
 */
function drawAngles(sheet, pose, look) {
  const { picture } = sheet;
  const gap = 2 * lineWidth(look, picture) + 2;
  const angles = anglesOf(pose, picture);
  for (const { angle, index, direction } of JOINTS) {
    const [degrees, isValid] = angles[angle] ?? [0, 0];
    const [x, y] = pose.landmarks[index] ?? [-1, -1];
    const isInside = x >= 0 && x <= 1 && y >= 0 && y <= 1;
    if (!isValid || !isInside || sightOf(pose, index) !== "plain") continue;
    const label = { text: `${Math.round(degrees)}°`, ink: LIGHT, ground: DARK };
    const { width, height } = sizeOf(label, sheet);
    const left = x * picture.width + direction * gap - (direction < 0 ? width : 0);
    put(sheet, label, left, y * picture.height - height / 2);
  }
}

/**
 * @param {Sheet} sheet
 * @param {Pose} pose
 * @param {Label[]} badges
 */
function drawOverHead(sheet, pose, badges) {
  const place = crownOf(pose);
  if (!place) return;
  const { picture } = sheet;
  const sizes = badges.map((badge) => sizeOf(badge, sheet));
  const width = sizes.reduce((sum, size) => sum + size.width, 0);
  let left = Math.min(place[0] * picture.width - width / 2, picture.width - width);
  badges.forEach((badge, index) => {
    left = put(sheet, badge, left, place[1] * picture.height - (sizes[index]?.height ?? 0));
  });
}

/**
 * The top of the head, in line with the body; else the highest landmark that is seen.
 * @param {Pose} pose
 * @returns {readonly [x: number, y: number] | null}
 */
function crownOf(pose) {
  const seen = pose.landmarks.filter((_, index) => sightOf(pose, index));
  const [nose, left, right] = [NOSE, LEFT_SHOULDER, RIGHT_SHOULDER].map((index = -1) =>
    sightOf(pose, index) ? pose.landmarks[index] : undefined,
  );
  if (nose && left && right) {
    const beyond = (/** @type {0 | 1} */ axis) =>
      nose[axis] + CROWN * (nose[axis] - (left[axis] + right[axis]) / 2);
    return [beyond(0), beyond(1)];
  }
  const [highest] = seen.sort((a, b) => a[1] - b[1]);
  return highest ? [highest[0], highest[1]] : null;
}

/**
 * As near as may be within the picture; nothing where it has no room.
 * @param {Sheet} sheet
 * @param {Label} label
 * @param {number} left in pixels of the picture
 * @param {number} top
 * @returns {number} its right edge
 */
function put(sheet, label, left, top) {
  const { picture } = sheet;
  const { width, height } = sizeOf(label, sheet);
  const [mostLeft, mostTop] = [picture.width - width, picture.height - height];
  const x = even(Math.min(Math.max(left, 0), mostLeft));
  const y = even(Math.min(Math.max(top, 0), mostTop));
  if (mostLeft >= 0 && mostTop >= 0) write(sheet, label, { left: x, top: y, width, height });
  return x + width;
}

/**
 * @param {Sheet} sheet
 * @param {Label} label
 * @param {Place} place
 */
function write(sheet, { text, ink, ground }, { left, top, width, height }) {
  const { context, scale, isMirrored } = sheet;
  const digit = digitHeight(sheet);
  context.save();
  context.scale(scale, scale);
  context.translate(left + width / 2, top + height / 2);
  if (isMirrored) context.scale(-1, 1);
  context.fillStyle = ground;
  context.fillRect(-width / 2, -height / 2, width, height);
  context.fillStyle = ink;
  context.font = `500 ${digit * FONT_SIZE}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.fillText(text, 0, digit / 2, width - digit * MARGIN);
  context.restore();
}

/** @param {Sheet} sheet */
function digitHeight({ picture: { width, height } }) {
  return Math.max(8, Math.round(Math.min(width, height) / 45));
}

/**
 * In pixels of the picture.
 * @param {Label} label
 * @param {Sheet} sheet
 */
function sizeOf({ text }, sheet) {
  const digit = digitHeight(sheet);
  const advances = [...text].map((letter) => ADVANCES[letter] ?? DIGIT_ADVANCE);
  const across = advances.reduce((sum, advance) => sum + advance, 2 * MARGIN);
  return { width: even(across * digit), height: even((1 + 2 * MARGIN) * digit) };
}

/** @param {number} value */
function even(value) {
  return 2 * Math.round(value / 2);
}
