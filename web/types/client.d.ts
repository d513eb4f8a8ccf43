/**
 * The frames of a stream, until it ends.
 * @param {string} stream its id
 * @param {Options} [options]
 * @returns {AsyncGenerator<PoseMessage, void, void>}
 */
export function landmarks(stream: string, options?: Options): AsyncGenerator<PoseMessage, void, void>;
/**
 * The frames of a stream and what becomes of it, until it ends. Throws as `allMessages` does.
 * @param {string} stream its id
 * @param {Options} [options]
 * @returns {AsyncGenerator<PoseMessage | StateMessage, void, void>}
 */
export function messages(stream: string, options?: Options): AsyncGenerator<PoseMessage | StateMessage, void, void>;
/**
 * The frames of a stream, what becomes of it and which model runs, until it ends; later versions may add
 * messages of other types. Throws when it can't be had (the first connection fails), or is lost and
 * `reconnect` is off.
 * @param {string} stream its id
 * @param {Options} [options]
 * @returns {AsyncGenerator<StreamMessage, void, void>}
 */
export function allMessages(stream: string, { server, signal, reconnect, token }?: Options): AsyncGenerator<StreamMessage, void, void>;
export { anglesOf } from "./angles.js";
export type Landmark = import("./landmarks.js").Landmark;
export type Pose = import("./landmarks.js").Pose;
export type PoseMessage = import("./landmarks.js").PoseMessage;
export type StateMessage = import("./landmarks.js").StateMessage;
export type ModelMessage = import("./landmarks.js").ModelMessage;
export type StreamMessage = PoseMessage | StateMessage | ModelMessage;
export type Options = {
    /**
     * its address; default: where this module came from
     */
    server?: string | URL | undefined;
    /**
     * ends it
     */
    signal?: AbortSignal | undefined;
    /**
     * come back when the connection is lost; default: true
     */
    reconnect?: boolean | undefined;
    /**
     * the server's access token, in a page of another origin (or without a cookie)
     */
    token?: string | undefined;
};
export { ANGLES, BINARY_PROTOCOL, CONNECTIONS, decodePose, LANDMARK_NAMES, MIN_VISIBILITY, parseMessage, sideOf } from "./landmarks.js";
