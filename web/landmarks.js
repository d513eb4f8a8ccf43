// The messages on the `landmarks` channel (docs/protocol.md), and the names of the 33 landmarks.

/** @typedef {[x: number, y: number, z: number, visibility: number, presence: number]} Landmark */
/**
 * @typedef {object} Pose
 * @property {number} id
 * @property {number} score
 * @property {Landmark[]} landmarks x, y in 0..1 of the picture; z on x's scale, smaller is nearer
 * @property {[number, number, number][]} world metres from mid-hip
 */
/**
 * @typedef {object} PoseMessage
 * @property {"pose"} type
 * @property {string} stream
 * @property {number} epoch rises when seq starts again
 * @property {number} seq
 * @property {number} pts 90 kHz ticks
 * @property {number} received_at Unix seconds
 * @property {number} width
 * @property {number} height
 * @property {Pose[]} poses
 * @property {Record<string, number>} latency_ms
 * @property {number} dropped
 */
/**
 * @typedef {object} StateMessage
 * @property {"state"} type
 * @property {string} stream
 * @property {import("./api.js").StreamState} state
 * @property {string} detail
 * @property {string} [error]
 * @property {number} [retry_in_s]
 * @property {number} [attempt]
 */
/** @typedef {{type: "ping", t: number}} PingMessage */
/** @typedef {PoseMessage | StateMessage | PingMessage} Message */

const KNOWN = new Set(["pose", "state", "ping"]);

/** MediaPipe's landmarks, in their order; left and right are the person's own. */
export const LANDMARK_NAMES = [
  "nose",
  "left eye, inner", "left eye", "left eye, outer",
  "right eye, inner", "right eye", "right eye, outer",
  "left ear", "right ear",
  "mouth, left", "mouth, right",
  "left shoulder", "right shoulder",
  "left elbow", "right elbow",
  "left wrist", "right wrist",
  "left pinky", "right pinky",
  "left index", "right index",
  "left thumb", "right thumb",
  "left hip", "right hip",
  "left knee", "right knee",
  "left ankle", "right ankle",
  "left heel", "right heel",
  "left foot index", "right foot index",
];

/** Below this a landmark counts as unseen: it is neither drawn nor shown in full strength. */
export const MIN_VISIBILITY = 0.5;

/**
 * A message of a type we know, or null: readers ignore the others.
 * @param {unknown} text
 * @returns {Message | null}
 */
export function parseMessage(text) {
  if (typeof text !== "string") return null;
  const message = JSON.parse(text);
  return KNOWN.has(message.type) ? message : null;
}
