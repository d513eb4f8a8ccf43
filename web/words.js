// The words for every state, the same on all pages.

import { t } from "./i18n.js";

/**
 * What the page shows; the server's own states (StreamState) are fewer.
 * @typedef {"idle" | "asking" | "connecting" | "live" | "nobody" | "reconnecting" | "failed"
 *   | "ended" | "paused" | "waiting"} PageState
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

/** The names of MediaPipe's models, by their `model_complexity`. */
export const MODEL_NAMES = [t("lite"), t("full"), t("heavy")];

const CAMERA_TROUBLE = new Map([
  ["wrong-credentials", t("wrong password")],
  ["address-not-allowed", t("address not allowed")],
  ["source-unreachable", t("camera not reachable")],
  ["source-not-found", t("no such path on the camera")],
  ["source-unusable", t("no usable video")],
  ["source-stalled", t("camera silent")],
  ["source-lost", t("camera lost")],
  ["worker-died", t("reading the video anew")],
  ["estimator-failed", t("no poses: estimator failed")],
  ["model-unavailable", t("model missing")],
  ["shutting-down", t("server restarting")],
]);

/** Of a stream that is live: its pictures come, its poses don't. */
const POSE_TROUBLE = new Map([
  ["estimator-replaced", t("restarting the pose engine")],
  ["estimator-silent", t("waiting for the pose engine")],
]);

/** @type {Record<PageState, string>} */
const PLAIN = {
  idle: t("not started"),
  asking: t("asking for the camera"),
  connecting: t("connecting"),
  live: t("live"),
  nobody: t("nobody in the picture"),
  reconnecting: t("camera lost"),
  failed: t("failed"),
  ended: t("ended"),
  paused: t("paused while nobody watches"),
  waiting: t("waiting for poses"),
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
  if (state === "live" && kind) {
    const words = POSE_TROUBLE.get(kind) ?? PLAIN.waiting;
    return statusOf("waiting", { words, detail, kind });
  }
  if (state === "live" || state === "connecting") return statusOf(state);
  const words = (state !== "ended" && troubleWords(state, kind)) || PLAIN[state];
  const retryAt = retry_in_s === null ? null : performance.now() + retry_in_s * 1000;
  return statusOf(state, { words, detail, kind, retryAt, attempt });
}

/**
 * @param {import("./api.js").StreamState} state
 * @param {string} kind
 */
function troubleWords(state, kind) {
  if (state === "failed" && kind === "worker-died") return t("no video: its reader keeps dying");
  return CAMERA_TROUBLE.get(kind);
}

/**
 * "trying again in 4 s (attempt 3)", or nothing when nobody tries.
 * @param {Status} status
 */
export function nextTry({ state, retryAt, attempt }) {
  if (state !== "reconnecting" && retryAt === null) return "";
  const left_s = Math.ceil(((retryAt ?? 0) - performance.now()) / 1000);
  const words =
    left_s > 0 ? t("trying again in {time}", { time: duration(left_s) }) : t("trying again now");
  return attempt > 1 ? t("{words} (attempt {attempt})", { words, attempt }) : words;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 90) return t("{count} s", { count: Math.round(seconds) });
  return t("{count} min", { count: Math.round(seconds / 60) });
}
