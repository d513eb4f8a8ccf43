/**
 * The angles of a pose by their names: those of its message, or, where there are none, computed here:
 * degrees, and 1 where they can be trusted.
 * @param {Pose} pose
 * @param {Size} size of the picture in pixels
 * @returns {Record<string, Angle>}
 */
export function anglesOf(pose: Pose, size: Size): Record<string, Angle>;
/**
 * @param {Pose} pose
 * @param {Size} size of the picture in pixels
 * @returns {Record<string, Angle>}
 */
export function computeAngles(pose: Pose, size: Size): Record<string, Angle>;
export type Pose = import("./landmarks.js").Pose;
export type Angle = import("./landmarks.js").Angle;
export type Size = {
    width: number;
    height: number;
};
/**
 * one landmark, or two for the middle between them
 */
export type End = readonly string[];
/**
 * in pixels, y up
 */
export type Vector = {
    x: number;
    y: number;
    isGood: boolean;
};
