// From the page to the picture: where in it somebody has clicked. Pure.

/** @typedef {[x: number, y: number]} Point in 0..1 of the picture's width and height */
/** @typedef {{width: number, height: number}} Size */

const SNAP = 0.02; // of the picture: nobody hits its very edge
const NEAR_PX = 14; // a fingertip's middle

/**
 * Where a picture lies that is shown whole in a box (CSS' `object-fit: contain`).
 * @param {Size} box px
 * @param {Size} picture any unit
 */
export function contained(box, picture) {
  const scale = Math.min(box.width / picture.width, box.height / picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  return { left: (box.width - width) / 2, top: (box.height - height) / 2, width, height };
}

/**
 * The place in the picture at a point of its box; one beyond an edge, or near it, is on the edge.
 * @param {{x: number, y: number}} at px from the box' upper left corner
 * @param {Size} box px
 * @param {Size} picture
 * @param {boolean} isMirrored left and right are exchanged on the page
 * @returns {Point}
 */
export function placeAt(at, box, picture, isMirrored) {
  const { left, top, width, height } = contained(box, picture);
  const x = (at.x - left) / width;
  return [snapped(isMirrored ? 1 - x : x), snapped((at.y - top) / height)];
}

/**
 * Do both points look like one on the page?
 * @param {Point} a
 * @param {Point} b
 * @param {Size} box
 * @param {Size} picture
 */
export function areNear(a, b, box, picture) {
  const { width, height } = contained(box, picture);
  return Math.hypot((a[0] - b[0]) * width, (a[1] - b[1]) * height) < NEAR_PX;
}

/** @param {number} share */
function snapped(share) {
  if (share < SNAP) return 0;
  if (share > 1 - SNAP) return 1;
  return Math.round(share * 1000) / 1000;
}
