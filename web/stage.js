// What the webcam page and the page of a stream share: the picture, its state in words, the
// figures, the landmarks, and the controls that act on them.

import { requestJson, sentence, streamPath } from "./api.js";
import { url } from "./base.js";
import { StreamClock } from "./clock.js";
import { button, byId, element, icon, play, setText } from "./dom.js";
import { Figures } from "./figures.js";
import { bindKeys } from "./keys.js";
import { openSnippets } from "./snippets.js";
import { Overlay } from "./overlay.js";
import { LandmarkTable } from "./table.js";
import { nextTry, statusOf } from "./words.js";

/** @typedef {import("./words.js").Status} Status */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./connection.js").LivePeer} LivePeer */
/** @typedef {{title: string, text: string[], busy?: boolean, actions?: HTMLElement[]}} Notice */

const COUNTDOWN_INTERVAL_MS = 500;
const REMEMBERED_MESSAGES = 60;

export class Stage {
  video = byId("video", HTMLVideoElement);

  #picture = byId("picture", HTMLElement);
  #state = byId("state", HTMLElement);
  #words = byId("state-words", HTMLElement);
  #next = byId("state-next", HTMLElement);
  #notice = byId("notice", HTMLElement);
  #pause = byId("pause", HTMLButtonElement);
  #model = byId("model", HTMLSelectElement);
  #message = byId("option-message", HTMLElement);
  #figures = new Figures();
  #table = new LandmarkTable();
  #overlay = new Overlay(
    this.video,
    byId("overlay", HTMLCanvasElement),
    byId("overlay-note", HTMLElement),
    (latency) => this.#figures.onLatency(latency),
  );
  #clock = new StreamClock(performance.timeOrigin);
  /** @type {LivePeer | null} */
  #peer = null;
  #status = statusOf("idle");
  #isPaused = false;
  /** For tests and for the curious: what came last. */
  #debug = {
    /** @type {RTCPeerConnection | null} */
    peer: null,
    /** @type {PoseMessage | null} */
    lastMessage: null,
    /** @type {PoseMessage[]} */
    recent: [],
    messages: 0,
    streamId: "",
    overlay: this.#overlay.debug,
    clock: this.#clock,
  };

  constructor() {
    Object.assign(window, { streamer: this.#debug });
    this.#pause.addEventListener("click", () => this.#togglePause());
    byId("snapshot", HTMLButtonElement).addEventListener("click", () => this.#saveSnapshot());
    byId("code", HTMLButtonElement).addEventListener("click", () => {
      if (this.#peer) openSnippets(this.#peer.streamId);
    });
    this.#model.addEventListener("change", () => void this.#changeModel());
    const full = byId("full", HTMLButtonElement);
    full.addEventListener("click", () => void this.#toggleFull());
    full.hidden = !document.fullscreenEnabled;
    bindKeys(
      [
        { key: " ", name: "space", does: "pause and go on", run: () => this.#togglePause() },
        { key: "f", name: "f", does: "full screen", run: () => void this.#toggleFull() },
        { key: "s", name: "s", does: "save a snapshot", run: () => this.#saveSnapshot() },
      ],
      byId("keys", HTMLButtonElement),
    );
    setInterval(() => this.#countDown(), COUNTDOWN_INTERVAL_MS);
  }

  /** @param {LivePeer | null} peer whom the controls act on */
  setPeer(peer) {
    this.#peer = peer;
    if (!peer) {
      this.video.srcObject = null;
      this.#overlay.clear();
    }
    this.#enableControls();
  }

  /**
   * A new connection is being made; the last picture stays until the first one comes.
   * @param {import("./overlay.js").OverlayMode} mode
   */
  begin(mode) {
    this.#clock = new StreamClock(performance.timeOrigin);
    this.#debug.clock = this.#clock;
    this.#overlay.begin(mode, this.#clock);
    this.#picture.dataset.overlay = mode;
    if (mode === "alone") this.video.srcObject = null;
    this.#figures.reset(mode);
  }

  /** The connection is there. */
  connected() {
    this.#debug.peer = this.#peer?.connection ?? null;
    this.#debug.streamId = this.#peer?.streamId ?? "";
    this.#figures.reset(this.#overlay.debug.mode);
  }

  /** @param {import("./landmarks.js").ClockMessage} message */
  noteClock(message) {
    this.#clock.note(message, performance.now());
  }

  /** @param {boolean} isMirrored */
  setMirrored(isMirrored) {
    this.#picture.classList.toggle("mirrored", isMirrored);
  }

  /** @param {MediaStream} media */
  showMedia(media) {
    this.video.srcObject = media;
    if (!this.#isPaused) play(this.video);
  }

  /** A paused video keeps its last picture when its track ends. */
  holdPicture() {
    this.video.pause();
  }

  /** @param {PoseMessage} message */
  showPose(message) {
    const debug = this.#debug;
    debug.messages += 1;
    debug.lastMessage = message;
    debug.recent.push(message);
    if (debug.recent.length > REMEMBERED_MESSAGES) debug.recent.shift();
    this.#figures.onPose(message);
    this.#overlay.onPose(message);
    if (!this.#isPaused) this.#table.show(message.poses);
  }

  /** @param {import("./link.js").LinkStats} stats */
  showStats(stats) {
    if (stats.roundTrip_ms !== null) this.#clock.noteRoundTrip(stats.roundTrip_ms);
    this.#figures.onStats(stats);
  }

  /** @param {import("./api.js").StreamInfo} info */
  showInfo(info) {
    this.#figures.onInfo(info);
    if (document.activeElement !== this.#model) {
      this.#model.value = String(info.pose.model_complexity);
    }
  }

  /**
   * @param {Status} status
   * @param {Notice | null} notice what lies over the picture; null: the picture speaks for itself
   */
  showStatus(status, notice) {
    this.#status = status;
    this.#state.dataset.state = status.state;
    this.#picture.dataset.state = status.state;
    this.#picture.classList.toggle("dim", notice !== null);
    setText(this.#words, status.words);
    this.#showNotice(notice);
    this.#countDown();
    this.#enableControls();
    if (status.state !== "live") this.#table.show([]);
  }

  /** @param {Notice | null} notice */
  #showNotice(notice) {
    this.#notice.hidden = notice === null;
    if (!notice) return;
    this.#notice.replaceChildren(
      ...(notice.busy ? [element("i", { class: "spinner", "aria-hidden": "true" })] : []),
      element("h2", {}, notice.title),
      ...notice.text.filter((line) => line).map((line) => element("p", {}, line)),
      element("div", { class: "actions" }, ...(notice.actions ?? [])),
    );
  }

  #countDown() {
    setText(this.#next, nextTry(this.#status));
  }

  #enableControls() {
    const { state, ours } = this.#status;
    const isGone = state === "ended" || (state === "failed" && ours);
    const isDisabled = !this.#peer?.streamId || isGone;
    for (const id of ["pause", "snapshot", "code"]) {
      byId(id, HTMLButtonElement).disabled = isDisabled;
    }
    this.#model.disabled = isDisabled;
  }

  #togglePause() {
    if (this.#pause.disabled) return;
    this.#isPaused = !this.#isPaused;
    this.#overlay.setPaused(this.#isPaused);
    this.#picture.classList.toggle("paused", this.#isPaused);
    this.#pause.replaceChildren(
      icon(this.#isPaused ? "play" : "pause"),
      element("span", {}, this.#isPaused ? "Go on" : "Pause"),
    );
    if (this.#isPaused) this.video.pause();
    else if (this.video.srcObject) play(this.video);
  }

  async #toggleFull() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else if (document.fullscreenEnabled) await this.#picture.requestFullscreen();
  }

  /** Saves the picture as it is seen. */
  #saveSnapshot() {
    const copy = this.#overlay.snapshot(this.#picture.classList.contains("mirrored"));
    copy?.toBlob((blob) => {
      if (blob) download(blob, `${document.title.split(" ")[0]}-${timestamp()}.png`);
    });
  }

  async #changeModel() {
    const pose = { model_complexity: Number(this.#model.value) };
    setText(this.#message, "");
    try {
      const path = streamPath(this.#peer?.streamId ?? "");
      this.showInfo(await requestJson("PATCH", path, { json: { pose } }));
    } catch (error) {
      setText(this.#message, sentence(error));
      const info = await requestJson("GET", streamPath(this.#peer?.streamId ?? ""));
      this.#model.value = String(info.pose.model_complexity);
    }
  }
}

/**
 * The notice for a status that needs one on either page.
 * @param {Status} status
 * @param {() => void} tryAgain
 * @param {import("./modes.js").VideoMode} video annotated video brings a lost camera's notice itself
 * @returns {Notice | null}
 */
export function noticeOf({ state, words, detail, kind, ours }, tryAgain, video) {
  const title = words.charAt(0).toUpperCase() + words.slice(1);
  if (state === "connecting") return { title: "Connecting", text: [], busy: true };
  if (state === "paused") return { title: "Waking the camera", text: [], busy: true };
  if (state === "reconnecting" && (ours || video !== "annotated")) {
    return { title, text: [detail && sentence(detail)], busy: true };
  }
  if (state === "failed" || state === "ended") {
    const again = button("Try again", tryAgain, { class: "primary" });
    const wall = element("a", { href: url("/"), class: "button" }, "All streams");
    const isOver = state === "ended" && !ours;
    const text = [!isOver && detail ? sentence(detail) : "", NEXT_STEPS.get(kind) ?? ""];
    return { title: isOver ? "The stream has ended" : title, text, actions: [again, wall] };
  }
  return null;
}

const NEXT_STEPS = new Map([
  ["wrong-credentials", "Remove this camera on the wall and add it again with the right password."],
  ["address-not-allowed", "[rtsp] allowed_networks in the configuration says which are."],
]);

/**
 * @param {Blob} blob
 * @param {string} name
 */
function download(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function timestamp() {
  return new Date().toISOString().slice(0, 19).replaceAll(":", "-");
}
