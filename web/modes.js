// The three ways to see a stream, and which of them this browser can show.

import { byId, element } from "./dom.js";
import { t } from "./i18n.js";

/**
 * `annotated`: the server draws. `plain`: the camera's own picture, landmarks drawn here. `none`: the
 * landmarks alone.
 * @typedef {"annotated" | "plain" | "none"} VideoMode
 */

const STORAGE_KEY = "streamer.video";
const QUERY_KEY = "video";
const PROBE_TIMEOUT_MS = 1_500;
const MODES = /** @type {const} */ (["annotated", "plain", "none"]);

/** Without this, which frame is on display can't be known. */
export const canTellFrames = "requestVideoFrameCallback" in HTMLVideoElement.prototype;

/** The choice of the page's address, else the one of before, in a `<select>`. */
export class ModeChoice {
  #select = byId("video-mode", HTMLSelectElement);

  /** @param {(mode: VideoMode) => void} onChange by the person at the page */
  constructor(onChange) {
    const asked = new URLSearchParams(location.search).get(QUERY_KEY);
    const wanted = asked ?? localStorage.getItem(STORAGE_KEY);
    if (isMode(wanted)) this.#select.value = wanted;
    if (!canTellFrames) this.disable("plain", NO_FRAME_TIMES);
    this.#select.addEventListener("change", () => {
      localStorage.setItem(STORAGE_KEY, this.mode);
      forgetQuery();
      onChange(this.mode);
    });
  }

  /** @returns {VideoMode} */
  get mode() {
    const { value } = this.#select;
    return isMode(value) ? value : "annotated";
  }

  /**
   * Takes a choice away; whoever had made it gets annotated video, and gets it back elsewhere.
   * @param {VideoMode} mode
   * @param {string} reason
   */
  disable(mode, reason) {
    for (const option of this.#select.options) {
      if (option.value !== mode) continue;
      option.disabled = true;
      option.title = reason;
      this.#select.title = reason; // few browsers show an option's own
    }
    if (this.#select.value === mode) this.#select.value = "annotated";
  }
}

export const NO_FRAME_TIMES = t(
  "This browser does not say which frame it shows, so landmarks can't be drawn on it here.",
);
export const NO_CAPTURE_TIMES = t(
  "This browser does not say when a frame of its own camera was taken, " +
    "so landmarks can't be drawn on it here.",
);

/** A choice made here counts from now on, also after a reload. */
function forgetQuery() {
  const url = new URL(location.href);
  url.searchParams.delete(QUERY_KEY);
  history.replaceState(history.state, "", url);
}

/**
 * @param {unknown} value
 * @returns {value is VideoMode}
 */
function isMode(value) {
  return MODES.some((mode) => mode === value);
}

/**
 * Whether this browser says when a frame of the computer's own camera was taken.
 * @param {MediaStream} camera
 * @returns {Promise<boolean>}
 */
export function tellsCaptureTimes(camera) {
  if (!canTellFrames) return Promise.resolve(false);
  const video = element("video", { playsinline: "" });
  video.muted = true;
  video.srcObject = camera;
  return new Promise((resolve) => {
    const end = (/** @type {boolean} */ tells) => {
      resolve(tells);
      video.srcObject = null;
    };
    video.requestVideoFrameCallback((_, { captureTime }) => end(captureTime !== undefined));
    setTimeout(() => end(false), PROBE_TIMEOUT_MS);
    video.play().catch(() => end(false));
  });
}
