// The words for every state, the same on all pages.

/**
 * What the page shows; the server's own states (StreamState) are fewer.
 * @typedef {"idle" | "asking" | "connecting" | "live" | "nobody" | "reconnecting" | "failed"
 *   | "ended" | "paused"} PageState
 */
/**
 * What a page shows of a stream: its state and the way out of it.
 * @typedef {object} Status
 * @property {PageState} state
 * @property {string} words a few, lower case
 * @property {string} detail a sentence, or nothing
 * @property {string} kind which error is behind it, or nothing
 * @property {boolean} ours the trouble is between this page and the server, not at the camera
 * @property {number | null} retryAt on performance.now()'s clock
 * @property {number} attempt
 */

const CAMERA_TROUBLE = new Map([
  ["wrong-credentials", "wrong password"],
  ["address-not-allowed", "address not allowed"],
  ["source-unreachable", "camera not reachable"],
  ["source-not-found", "no such path on the camera"],
  ["source-unusable", "no usable video"],
  ["source-stalled", "camera silent"],
  ["source-lost", "camera lost"],
  ["model-unavailable", "model missing"],
]);

/** @type {Record<PageState, string>} */
const PLAIN = {
  idle: "not started",
  asking: "asking for the camera",
  connecting: "connecting",
  live: "live",
  nobody: "nobody in the picture",
  reconnecting: "camera lost",
  failed: "failed",
  ended: "ended",
  paused: "paused while nobody watches",
};

/**
 * @param {PageState} state
 * @param {Partial<Status>} [more]
 * @returns {Status}
 */
export function statusOf(state, more = {}) {
  const none = { detail: "", kind: "", ours: false, retryAt: null, attempt: 0 };
  return { ...none, state, words: PLAIN[state], ...more };
}

/**
 * The status of a stream whose server answers.
 * @param {import("./api.js").StreamState} state
 * @param {{detail: string, kind: string, retry_in_s: number | null, attempt: number}} report
 * @returns {Status}
 */
export function streamStatus(state, { detail, kind, retry_in_s, attempt }) {
  if (state === "live" || state === "connecting") return statusOf(state);
  const words = (state !== "ended" && CAMERA_TROUBLE.get(kind)) || PLAIN[state];
  const retryAt = retry_in_s === null ? null : performance.now() + retry_in_s * 1000;
  return statusOf(state, { words, detail, kind, retryAt, attempt });
}

/**
 * "trying again in 4 s (attempt 3)", or nothing when nobody tries.
 * @param {Status} status
 */
export function nextTry({ state, retryAt, attempt }) {
  if (state !== "reconnecting" && retryAt === null) return "";
  const left_s = Math.ceil(((retryAt ?? 0) - performance.now()) / 1000);
  const when = left_s > 0 ? `in ${duration(left_s)}` : "now";
  return `trying again ${when}${attempt > 1 ? ` (attempt ${attempt})` : ""}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
