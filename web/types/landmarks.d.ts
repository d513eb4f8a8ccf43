/**
 * @param {number} index of a landmark
 * @returns {"left" | "right" | "middle"}
 */
export function sideOf(index: number): "left" | "right" | "middle";
/**
 * A message of a type we know, or null: readers ignore the others.
 * @param {unknown} data text, or an ArrayBuffer with the binary form
 * @param {string} stream whose channel it is: the binary form does not say
 * @returns {Message | null}
 */
export function parseMessage(data: unknown, stream: string): Message | null;
/**
 * The binary form of a pose message. Null for versions and kinds we don't know, and for a message
 * that is shorter than it says; longer ones are read: later versions may append.
 * @param {ArrayBuffer} buffer
 * @param {string} stream
 * @returns {PoseMessage | null}
 */
export function decodePose(buffer: ArrayBuffer, stream: string): PoseMessage | null;
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
export const BINARY_PROTOCOL: "landmarks.v1+bin";
/** MediaPipe's landmarks, in their order; left and right are the person's own. */
export const LANDMARK_NAMES: string[];
/** The names of the angles, in the order of the binary form; streamer/angles.py defines them. */
export const ANGLES: string[];
/** Below this a landmark counts as unseen: it is neither drawn nor shown in full strength. */
export const MIN_VISIBILITY: 0.5;
/** MediaPipe's skeleton: pairs of landmarks. */
export const CONNECTIONS: readonly [readonly [0, 1], readonly [1, 2], readonly [2, 3], readonly [3, 7], readonly [0, 4], readonly [4, 5], readonly [5, 6], readonly [6, 8], readonly [9, 10], readonly [11, 12], readonly [11, 23], readonly [12, 24], readonly [23, 24], readonly [11, 13], readonly [13, 15], readonly [15, 17], readonly [15, 19], readonly [15, 21], readonly [17, 19], readonly [12, 14], readonly [14, 16], readonly [16, 18], readonly [16, 20], readonly [16, 22], readonly [18, 20], readonly [23, 25], readonly [25, 27], readonly [27, 29], readonly [29, 31], readonly [27, 31], readonly [24, 26], readonly [26, 28], readonly [28, 30], readonly [30, 32], readonly [28, 32]];
export type Landmark = [x: number, y: number, z: number, visibility: number, presence: number];
/**
 * valid: 1 where it can be trusted, else 0
 */
export type Angle = [degrees: number, valid: number];
/**
 * What may be absent: the server may not know it.
 */
export type Pose = {
    id: number;
    score: number;
    /**
     * x, y in 0..1 of the picture; z on x's scale, smaller is nearer
     */
    landmarks: Landmark[];
    /**
     * metres from mid-hip
     */
    world: [number, number, number][];
    /**
     * the landmarks that can't be seen: the network's guess
     */
    predicted?: number[] | undefined;
    /**
     * the sides are probably mistaken
     */
    turned?: "left_right" | "front_back" | undefined;
    /**
     * by their names
     */
    angles?: Record<string, Angle> | undefined;
    /**
     * the landmarks before smoothing
     */
    raw?: Landmark[] | undefined;
};
export type PoseMessage = {
    type: "pose";
    v: 1;
    stream: string;
    /**
     * rises when seq starts again
     */
    epoch: number;
    seq: number;
    /**
     * 90 kHz ticks
     */
    pts: number;
    /**
     * Unix seconds
     */
    received_at: number;
    width: number;
    height: number;
    poses: Pose[];
    latency_ms: Record<string, number>;
    dropped: number;
};
export type StreamState = "connecting" | "live" | "reconnecting" | "failed" | "ended" | "paused";
export type StateMessage = {
    type: "state";
    stream: string;
    state: StreamState;
    detail: string;
    error?: string | undefined;
    retry_in_s?: number | undefined;
    attempt?: number | undefined;
};
/**
 * Another model finds the poses from here on, or another one is wanted.
 */
export type ModelMessage = {
    type: "model";
    stream: string;
    /**
     * of the one that runs
     */
    model_complexity: number;
    /**
     * of the stream's options
     */
    wanted: number;
    /**
     * why they differ
     */
    reason?: "failed" | "loading" | "overload" | undefined;
};
export type PingMessage = {
    type: "ping";
    t: number;
};
/**
 * How the stream's clock, the video's RTP clock and the camera's clock belong together. Fields come
 * when they are known, together or alone.
 */
export type ClockMessage = {
    type: "clock";
    /**
     * Unix seconds of the server's clock at sending
     */
    t: number;
    /**
     * the RTP time of the video sent here at which pts is 0
     */
    rtp_origin?: number | undefined;
    /**
     * of the messages that ntp and pts belong to
     */
    epoch?: number | undefined;
    /**
     * Unix seconds by the clock of the browser that has the camera
     */
    ntp?: number | undefined;
    /**
     * the stream's time at that moment
     */
    pts?: number | undefined;
};
export type Message = PoseMessage | StateMessage | ModelMessage | PingMessage | ClockMessage;
