// From the world landmarks' space to a canvas: the geometry of the 3D view. Pure.

/** @typedef {readonly [x: number, y: number, z: number]} Point metres: right, down, away */
/**
 * Where the view is seen from: on a ball around the middle of the hips.
 * @typedef {object} Viewpoint
 * @property {number} yaw radians; positive: from the picture's left
 * @property {number} pitch radians; positive: from above
 * @property {number} distance_m
 */
/** @typedef {{x: number, y: number, depth_m: number, scale: number}} Projected px; px for a metre there */

/** A little from the side and from above, so that depth can be seen at once. */
export const START = /** @type {Readonly<Viewpoint>} */ ({ yaw: 0.5, pitch: 0.2, distance_m: 3.2 });

const PITCH_MIN = -0.4;
const PITCH_MAX = 1.5;
const DISTANCE_MIN_M = 1.2;
const DISTANCE_MAX_M = 9;
const NEAR_M = 0.1;
const FOCAL = 1.45; // of the canvas' shorter side: a person stands in it whole at START, arms up too

/**
 * @param {Viewpoint} from
 * @param {Partial<Viewpoint>} by turned by so much; `distance_m`: the new one
 * @returns {Viewpoint} within the limits
 */
export function turned({ yaw, pitch, distance_m }, by) {
  return {
    yaw: yaw + (by.yaw ?? 0),
    pitch: clamp(pitch + (by.pitch ?? 0), PITCH_MIN, PITCH_MAX),
    distance_m: clamp(by.distance_m ?? distance_m, DISTANCE_MIN_M, DISTANCE_MAX_M),
  };
}

/**
 * A perspective projection: turned about the vertical axis (yaw), then about the horizontal one (pitch),
 * then divided by the depth.
 * @param {Viewpoint} view
 * @param {{width: number, height: number}} size of the canvas
 * @returns {(point: Point) => Projected}
 */
export function projector(view, { width, height }) {
  const [cosYaw, sinYaw] = [Math.cos(view.yaw), Math.sin(view.yaw)];
  const [cosPitch, sinPitch] = [Math.cos(view.pitch), Math.sin(view.pitch)];
  const focal_px = FOCAL * Math.min(width, height);
  return ([x, y, z]) => {
    const [across, back] = [x * cosYaw - z * sinYaw, x * sinYaw + z * cosYaw];
    const [down, away] = [y * cosPitch - back * sinPitch, y * sinPitch + back * cosPitch];
    const depth_m = Math.max(NEAR_M, away + view.distance_m);
    const scale = focal_px / depth_m;
    return { x: width / 2 + across * scale, y: height / 2 + down * scale, depth_m, scale };
  };
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
