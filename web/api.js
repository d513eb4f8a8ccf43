// Requests to this server, and the errors that they end in.

import { pathOf, url } from "./base.js";
import { serverWords, t } from "./i18n.js";

/**
 * A stream as GET /api/v1/streams shows it (docs/protocol.md).
 * @typedef {object} StreamInfo
 * @property {string} id
 * @property {StreamState} state
 * @property {string} detail
 * @property {{type: string, url?: string}} source
 * @property {boolean} listed
 * @property {{width: number, height: number, fps: number | null, codec: string} | null} video
 * @property {number | null} people
 * @property {PoseOptions} pose
 * @property {import("./look.js").Look} [overlay]
 * @property {Record<string, unknown>} [video_options]
 * @property {Record<string, unknown>} [privacy]
 * @property {StreamStats} stats
 * @property {number} viewers
 * @property {number | null} retry_in_s
 * @property {number} attempt
 * @property {{type: string, detail: string} | null} last_error
 */
/** @typedef {import("./landmarks.js").StreamState} StreamState */
/** @typedef {{model_complexity: number} & Record<string, unknown>} PoseOptions */
/**
 * @typedef {object} StreamStats
 * @property {number | null} model_complexity of the model that runs now
 * @property {"overload" | "loading" | "failed" | null} model_reason why it is not the wanted one
 * @property {number} frames_dropped
 * @property {number} pose_fps
 * @property {number | null} frame_age_ms
 * @property {Record<string, {p50: number, p95: number}>} latency_ms
 */
/**
 * @typedef {object} RequestOptions
 * @property {unknown} [json]
 * @property {string} [sdp]
 * @property {FormData} [form]
 * @property {AbortSignal} [signal]
 * @property {boolean} [keepalive] let it outlive the page
 * @property {number} [timeout_ms]
 */

const TIMEOUT_MS = 8_000;
const PROBLEM_PREFIX = "urn:streamer:problem:";
const UNAUTHORIZED = 401;
const NOT_ALLOWED = "not-allowed";

/** The server refused a request and said why (RFC 9457). */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {string} kind the stable last part of the problem's type
   * @param {string} detail
   * @param {number | null} retryAfter_s
   */
  constructor(status, kind, detail, retryAfter_s) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.kind = kind;
    this.retryAfter_s = retryAfter_s;
  }
}

/** Nothing answered. */
export class ServerGone extends Error {
  constructor() {
    super(t("The server does not answer."));
    this.name = "ServerGone";
  }
}

/**
 * A successful response. Throws Problem, ServerGone, or AbortError when `signal` says so; leaves
 * for the login page when the server wants a token, or another one.
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<Response>}
 */
export async function request(method, path, options = {}) {
  const response = await send(method, path, options);
  if (response.ok) return response;
  const problem = await problemOf(response);
  if (response.status === UNAUTHORIZED) goToLogin("ended");
  if (problem.kind === NOT_ALLOWED) goToLogin("role");
  throw problem;
}

/**
 * To sign in, perhaps with another token, and come back.
 * @param {"ended" | "role"} why the page has come up, so there was access: it has ended, or is too little
 */
function goToLogin(why) {
  if (pathOf(location.href) === "/login") return;
  const next = encodeURIComponent(location.pathname + location.search);
  location.assign(`${url("/login")}?next=${next}&why=${why}`);
}

/**
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions} options
 */
async function send(method, path, options) {
  const { json, sdp, form, signal, keepalive, timeout_ms = TIMEOUT_MS } = options;
  const type = sdp === undefined ? "application/json" : "application/sdp";
  const body = form ?? sdp ?? (json === undefined ? undefined : JSON.stringify(json));
  const timeout = AbortSignal.timeout(timeout_ms);
  try {
    return await fetch(url(path), {
      method,
      body,
      headers: body === undefined || form ? {} : { "Content-Type": type }, // a form brings its own
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      keepalive: keepalive ?? false,
      cache: "no-store",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ServerGone();
  }
}

/** @param {Response} response */
async function problemOf(response) {
  const after = Number(response.headers.get("Retry-After"));
  const isProblem = response.headers.get("Content-Type")?.startsWith("application/problem+json");
  const body = isProblem ? await response.json() : {};
  return new Problem(
    response.status,
    kindOf(body.type),
    body.detail || body.title || t("The server answered {status}.", { status: response.status }),
    after > 0 ? after : null,
  );
}

/**
 * `urn:streamer:problem:not-found` -> `not-found`.
 * @param {string | undefined} type
 */
export function kindOf(type) {
  return (type ?? "").replace(PROBLEM_PREFIX, "");
}

/**
 * @param {string} method
 * @param {string} path
 * @param {RequestOptions} [options]
 * @returns {Promise<any>}
 */
export async function requestJson(method, path, options) {
  return (await request(method, path, options)).json();
}

/** @param {string} id */
export function streamPath(id) {
  return `/api/v1/streams/${encodeURIComponent(id)}`;
}

/**
 * What to show a person for an error.
 * @param {unknown} error
 */
export function sentence(error) {
  const words = error instanceof Error ? error.message : String(error);
  const text = error instanceof Problem ? serverWords(error.kind, words) : words;
  const start = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…。！？）]$/.test(start) ? start : start + t(".");
}
