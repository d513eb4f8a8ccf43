// What a failed attempt to connect means: try again, when, and in which words.

import { Problem, ServerGone } from "./api.js";
import { t } from "./i18n.js";
import { LinkLost } from "./link.js";
import { statusOf } from "./words.js";

/** @typedef {import("./words.js").Status} Status */

const FIRST_RETRY_MS = 500;
const RETRY_CAP_MS = 3_000;
const RETRY_JITTER = 0.2;

export const HTTP = { NOT_FOUND: 404, CONFLICT: 409, TOO_MANY: 429, SERVER_ERROR: 500, FULL: 503 };

/**
 * The status until the next attempt. Its `retryAt` is null when trying again makes no sense.
 * @param {unknown} error
 * @param {number} attempt counts from 1
 * @returns {Status}
 */
export function statusAfter(error, attempt) {
  const detail = error instanceof Error ? error.message : String(error);
  const trouble = { detail, ours: true, attempt };
  const retryAt = performance.now() + backOff_ms(attempt);
  if (error instanceof Problem) return statusAfterProblem(error, trouble, retryAt);
  if (error instanceof ServerGone) {
    return statusOf("reconnecting", { ...trouble, words: t("server gone"), retryAt });
  }
  if (error instanceof LinkLost) {
    const words = error.reason === "lost" ? t("connection lost") : t("video blocked");
    return statusOf("reconnecting", { ...trouble, words, retryAt });
  }
  return statusOf("failed", trouble);
}

/**
 * @param {Problem} problem
 * @param {Partial<Status>} trouble
 * @param {number} retryAt
 */
function statusAfterProblem({ status, kind, retryAfter_s }, trouble, retryAt) {
  if (kind === "media-unreachable") {
    return statusOf("reconnecting", { ...trouble, kind, words: t("video blocked"), retryAt });
  }
  if (kind === "starting" || kind === "shutting-down") {
    return statusOf("reconnecting", { ...trouble, kind, words: t("server restarting"), retryAt });
  }
  if (status === HTTP.FULL || status === HTTP.TOO_MANY) {
    const later = Math.max(retryAt, performance.now() + (retryAfter_s ?? 0) * 1000);
    return statusOf("reconnecting", { ...trouble, kind, words: t("server full"), retryAt: later });
  }
  if (status === HTTP.CONFLICT || status >= HTTP.SERVER_ERROR) {
    return statusOf("reconnecting", { ...trouble, kind, words: t("server busy"), retryAt });
  }
  if (status === HTTP.NOT_FOUND) {
    return statusOf("ended", { ...trouble, kind, words: t("no such stream") });
  }
  return statusOf("failed", { ...trouble, kind });
}

/** @param {number} attempt */
function backOff_ms(attempt) {
  const spread = 1 + RETRY_JITTER * (Math.random() * 2 - 1);
  return Math.min(RETRY_CAP_MS, FIRST_RETRY_MS * 2 ** (attempt - 1)) * spread;
}

/**
 * Until the time has passed, the network is back, or the signal says so. Nothing of it stays: a page sleeps
 * every few seconds, for weeks, and one signal may live as long.
 * @param {number} delay_ms
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export function sleep(delay_ms, signal) {
  return new Promise((resolve) => {
    const over = new AbortController();
    const wake = () => {
      clearTimeout(timer);
      over.abort();
      resolve();
    };
    const timer = setTimeout(wake, delay_ms);
    addEventListener("online", wake, { signal: over.signal });
    signal.addEventListener("abort", wake, { signal: over.signal });
  });
}
