// The messages on the `landmarks` channel (docs/protocol.md), and the names of the 33 landmarks.

/** @typedef {[x: number, y: number, z: number, visibility: number, presence: number]} Landmark */
/** @typedef {[degrees: number, valid: number]} Angle valid: 1 where it can be trusted, else 0 */
/**
 * What may be absent: the server may not know it.
 * @typedef {object} Pose
 * @property {number} id
 * @property {number} score
 * @property {Landmark[]} landmarks x, y in 0..1 of the picture; z on x's scale, smaller is nearer
 * @property {[number, number, number][]} world metres from mid-hip
 * @property {number[]} [predicted] the landmarks that can't be seen: the network's guess
 * @property {"left_right" | "front_back"} [turned] the sides are probably mistaken
 * @property {Record<string, Angle>} [angles] by their names
 * @property {Landmark[]} [raw] the landmarks before smoothing
 */
/**
 * @typedef {object} PoseMessage
 * @property {"pose"} type
 * @property {1} v
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
/** @typedef {"connecting" | "live" | "reconnecting" | "failed" | "ended" | "paused"} StreamState */
/**
 * @typedef {object} StateMessage
 * @property {"state"} type
 * @property {string} stream
 * @property {StreamState} state
 * @property {string} detail
 * @property {string} [error]
 * @property {number} [retry_in_s]
 * @property {number} [attempt]
 */
/**
 * Another model finds the poses from here on, or another one is wanted.
 * @typedef {object} ModelMessage
 * @property {"model"} type
 * @property {string} stream
 * @property {number} model_complexity of the one that runs
 * @property {number} wanted of the stream's options
 * @property {"overload" | "loading" | "failed"} [reason] why they differ
 */
/** @typedef {{type: "ping", t: number}} PingMessage */
/**
 * How the stream's clock, the video's RTP clock and the camera's clock belong together. Fields come
 * when they are known, together or alone.
 * @typedef {object} ClockMessage
 * @property {"clock"} type
 * @property {number} t Unix seconds of the server's clock at sending
 * @property {number} [rtp_origin] the RTP time of the video sent here at which pts is 0
 * @property {number} [epoch] of the messages that ntp and pts belong to
 * @property {number} [ntp] Unix seconds by the clock of the browser that has the camera
 * @property {number} [pts] the stream's time at that moment
 */
/** @typedef {PoseMessage | StateMessage | ModelMessage | PingMessage | ClockMessage} Message */

/** A channel that is opened with this protocol gets its pose messages in binary form. */
export const BINARY_PROTOCOL = "landmarks.v1+bin";

const KNOWN = new Set(["pose", "state", "model", "ping", "clock"]);

// The binary form, version 1: little endian; docs/protocol.md has the table.
const VERSION = 1;
const KIND_POSE = 1;
const HEADER_BYTES = 40;
const STAGES = ["decode", "queue", "pose", "draw", "total"];
const STAGE_BYTES = 4;
const LANDMARK_BYTES = 8;
const POINT_BYTES = 6;
const POSE_BYTES = 4 + 33 * (LANDMARK_BYTES + POINT_BYTES);
const SIGHT_BYTES = 6;
const TURNED = /** @type {const} */ ([undefined, "left_right", "front_back"]);
const DEGREE_STEPS = 10;
const COORDINATE_STEP = 1 / 16384;
const METRE_STEP = 1 / 10_000;

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

/** The names of the angles, in the order of the binary form; streamer/angles.py defines them. */
export const ANGLES = [
  "left_ankle", "right_ankle", "left_knee", "right_knee", "left_hip", "right_hip",
  "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
  "left_foot", "right_foot", "left_shank", "right_shank", "left_thigh", "right_thigh",
  "left_arm", "right_arm", "left_forearm", "right_forearm", "left_hand", "right_hand",
  "pelvis", "trunk", "shoulders", "head",
];
const ANGLES_BYTES = 2 * ANGLES.length + Math.ceil(ANGLES.length / 8);

/**
 * What may come after the poses, by the bits of the header's `further`, in this order: each block has a
 * part for every person. Later ones come behind them.
 * @type {{bit: number, bytes: number, read: (view: DataView, at: number) => Partial<Pose>}[]}
 */
const BLOCKS = [
  { bit: 1, bytes: SIGHT_BYTES, read: readSight },
  { bit: 2, bytes: ANGLES_BYTES, read: readAngles },
  { bit: 4, bytes: 33 * LANDMARK_BYTES, read: (view, at) => ({ raw: readLandmarks(view, at) }) },
];

/** Below this a landmark counts as unseen: it is neither drawn nor shown in full strength. */
export const MIN_VISIBILITY = 0.5;

/** MediaPipe's skeleton: pairs of landmarks. */
export const CONNECTIONS = /** @type {const} */ ([
  [0, 1], [1, 2], [2, 3], [3, 7], [0, 4], [4, 5], [5, 6], [6, 8], [9, 10], // face
  [11, 12], [11, 23], [12, 24], [23, 24], // torso
  [11, 13], [13, 15], [15, 17], [15, 19], [15, 21], [17, 19], // left arm and hand
  [12, 14], [14, 16], [16, 18], [16, 20], [16, 22], [18, 20], // right arm and hand
  [23, 25], [25, 27], [27, 29], [29, 31], [27, 31], // left leg and foot
  [24, 26], [26, 28], [28, 30], [30, 32], [28, 32], // right leg and foot
]);

/**
 * @param {number} index of a landmark
 * @returns {"left" | "right" | "middle"}
 */
export function sideOf(index) {
  const name = LANDMARK_NAMES[index] ?? "";
  return name.includes("left") ? "left" : name.includes("right") ? "right" : "middle";
}

/**
 * A message of a type we know, or null: readers ignore the others.
 * @param {unknown} data text, or an ArrayBuffer with the binary form
 * @param {string} stream whose channel it is: the binary form does not say
 * @returns {Message | null}
 */
export function parseMessage(data, stream) {
  if (data instanceof ArrayBuffer) return decodePose(data, stream);
  if (typeof data !== "string") return null;
  const message = JSON.parse(data);
  return KNOWN.has(message.type) ? message : null;
}

/**
 * The binary form of a pose message. Null for versions and kinds we don't know, and for a message
 * that is shorter than it says; longer ones are read: later versions may append.
 * @param {ArrayBuffer} buffer
 * @param {string} stream
 * @returns {PoseMessage | null}
 */
export function decodePose(buffer, stream) {
  if (buffer.byteLength < HEADER_BYTES) return null;
  const view = new DataView(buffer);
  if (view.getUint8(0) !== VERSION || view.getUint8(1) !== KIND_POSE) return null;
  const count = view.getUint8(2);
  const stages = view.getUint8(3);
  const start = HEADER_BYTES + stages * STAGE_BYTES;
  const further = view.getUint32(20, true);
  const blocks = BLOCKS.filter(({ bit }) => further & bit);
  const bytes = blocks.reduce((sum, block) => sum + block.bytes, POSE_BYTES);
  if (buffer.byteLength < start + count * bytes) return null;
  return {
    type: "pose",
    v: 1,
    stream,
    epoch: view.getUint32(4, true),
    seq: view.getUint32(8, true),
    dropped: view.getUint32(12, true),
    width: view.getUint16(16, true),
    height: view.getUint16(18, true),
    pts: Number(view.getBigInt64(24, true)),
    received_at: view.getFloat64(32, true),
    latency_ms: readStages(view, stages),
    poses: readPoses(view, start, count, blocks),
  };
}

/**
 * @param {DataView} view
 * @param {number} start of the poses
 * @param {number} count of people
 * @param {typeof BLOCKS} blocks that there are
 */
function readPoses(view, start, count, blocks) {
  const poses = Array.from({ length: count }, (_, index) => readPose(view, start + index * POSE_BYTES));
  let at = start + count * POSE_BYTES;
  for (const { bytes, read } of blocks) {
    for (const pose of poses) {
      Object.assign(pose, read(view, at));
      at += bytes;
    }
  }
  return poses;
}

/**
 * @param {DataView} view
 * @param {number} count there may be more than we have names for
 */
function readStages(view, count) {
  /** @type {Record<string, number>} */
  const latency_ms = {};
  STAGES.slice(0, count).forEach((stage, index) => {
    latency_ms[stage] = view.getFloat32(HEADER_BYTES + index * STAGE_BYTES, true);
  });
  return latency_ms;
}

/**
 * @param {DataView} view
 * @param {number} at
 * @returns {Pose}
 */
function readPose(view, at) {
  const points = at + 4 + 33 * LANDMARK_BYTES;
  /** @type {Pose["world"]} */
  const world = [];
  for (let next = points; next < at + POSE_BYTES; next += POINT_BYTES) {
    world.push([
      view.getInt16(next, true) * METRE_STEP,
      view.getInt16(next + 2, true) * METRE_STEP,
      view.getInt16(next + 4, true) * METRE_STEP,
    ]);
  }
  return {
    id: view.getUint16(at, true),
    score: view.getUint16(at + 2, true) / 65535,
    landmarks: readLandmarks(view, at + 4),
    world,
  };
}

/**
 * @param {DataView} view
 * @param {number} at
 */
function readLandmarks(view, at) {
  /** @type {Landmark[]} */
  const landmarks = [];
  for (let next = at; next < at + 33 * LANDMARK_BYTES; next += LANDMARK_BYTES) {
    landmarks.push([
      view.getInt16(next, true) * COORDINATE_STEP,
      view.getInt16(next + 2, true) * COORDINATE_STEP,
      view.getInt16(next + 4, true) * COORDINATE_STEP,
      view.getUint8(next + 6) / 255,
      view.getUint8(next + 7) / 255,
    ]);
  }
  return landmarks;
}

/**
 * @param {DataView} view
 * @param {number} at of the first of the bytes, whose lowest bit comes first
 * @param {number} index
 */
function flag(view, at, index) {
  return (view.getUint8(at + (index >> 3)) >> (index & 7)) & 1;
}

/**
 * @param {DataView} view
 * @param {number} at
 * @returns {Partial<Pose>}
 */
function readSight(view, at) {
  const predicted = LANDMARK_NAMES.map((_, index) => index).filter((index) => flag(view, at, index));
  const turned = TURNED[view.getUint8(at + SIGHT_BYTES - 1)];
  return turned ? { predicted, turned } : { predicted };
}

/**
 * @param {DataView} view
 * @param {number} at
 * @returns {Partial<Pose>}
 */
function readAngles(view, at) {
  const flags = at + 2 * ANGLES.length;
  const angles = ANGLES.map((name, index) =>
    [name, [view.getInt16(at + 2 * index, true) / DEGREE_STEPS, flag(view, flags, index)]]);
  return { angles: Object.fromEntries(angles) };
}
