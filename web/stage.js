// What the webcam page and the page of a stream share: the picture, its state in words, the
// figures, the landmarks, and the controls that act on them.

import { StreamClock } from "./clock.js";
import { byId, element, icon, play, setText } from "./dom.js";
import { download } from "./download.js";
import { Figures } from "./figures.js";
import { t } from "./i18n.js";
import { bindKeys } from "./keys.js";
import { DEFAULT_LOOK, hasLetters } from "./look.js";
import { showRole } from "./me.js";
import { modelNotice, showNotice } from "./notices.js";
import { StreamOptions } from "./options.js";
import { Overlay } from "./overlay.js";
import { Panel } from "./panel.js";
import { Recorder } from "./recorder.js";
import { openSnippets } from "./snippets.js";
import { nextTry, statusOf } from "./words.js";

/** @typedef {import("./words.js").Status} Status */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./connection.js").LivePeer} LivePeer */
/** @typedef {import("./notices.js").Notice} Notice */

const COUNTDOWN_INTERVAL_MS = 500;
const REMEMBERED_MESSAGES = 60;

export class Stage {
  video = byId("video", HTMLVideoElement);

  #picture = byId("picture", HTMLElement);
  #state = byId("state", HTMLElement);
  #words = byId("state-words", HTMLElement);
  #next = byId("state-next", HTMLElement);
  #notice = byId("notice", HTMLElement);
  #model = byId("model-note", HTMLElement);
  #pause = byId("pause", HTMLButtonElement);
  #figures = new Figures();
  #panel = new Panel();
  #recorder = new Recorder(() => this.#subject);
  #overlay = new Overlay(
    this.video,
    byId("overlay", HTMLCanvasElement),
    byId("overlay-note", HTMLElement),
    (latency) => this.#figures.onLatency(latency),
  );
  #look = DEFAULT_LOOK;
  #options = new StreamOptions((look) => {
    this.#look = look;
    this.#overlay.look = look;
    this.#showMirrored();
  });
  #clock = new StreamClock(performance.timeOrigin);
  /** @type {LivePeer | null} */
  #peer = null;
  #status = statusOf("idle");
  #isPaused = false;
  #wantsMirror = false;
  /** For tests and for the curious: what came last. */
  #debug = {
    /** @type {RTCPeerConnection | null} */
    peer: null,
    /** @type {PoseMessage | null} */
    lastMessage: null,
    /** @type {PoseMessage | null} beside the picture: the last one before a pause */
    shown: null,
    /** @type {PoseMessage[]} */
    recent: [],
    messages: 0,
    streamId: "",
    overlay: this.#overlay.debug,
    clock: this.#clock,
  };

  constructor() {
    Object.assign(window, { streamer: this.#debug });
    this.#picture.dataset["paused"] = t("paused"); // which the style sheet shows
    this.#pause.addEventListener("click", () => this.#togglePause());
    byId("snapshot", HTMLButtonElement).addEventListener("click", () => this.#saveSnapshot());
    byId("code", HTMLButtonElement).addEventListener("click", () => {
      if (this.#peer) openSnippets(this.#peer.streamId);
    });
    const full = byId("full", HTMLButtonElement);
    full.addEventListener("click", () => void this.#toggleFull());
    full.hidden = !document.fullscreenEnabled;
    this.#bindKeys();
    void showRole();
    setInterval(() => this.#countDown(), COUNTDOWN_INTERVAL_MS);
  }

  #bindKeys() {
    const keys = [
      { key: " ", name: t("space"), does: t("pause and go on"), run: () => this.#togglePause() },
      { key: "f", name: "f", does: t("full screen"), run: () => void this.#toggleFull() },
      { key: "s", name: "s", does: t("save a snapshot"), run: () => this.#saveSnapshot() },
      { key: "r", name: "r", does: t("record landmarks"), run: () => this.#recorder.toggle() },
    ];
    const inSpace = [
      { name: t("arrows"), does: t("turn the 3D view, when it has the focus") },
      { name: "+ − 0", does: t("zoom it, and reset it") },
    ];
    bindKeys(keys, byId("keys", HTMLButtonElement), inSpace);
  }

  /** @param {LivePeer | null} peer whom the controls act on */
  setPeer(peer) {
    this.#peer = peer;
    if (!peer) {
      this.video.srcObject = null;
      this.#overlay.clear();
      setText(this.#model, "");
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
    this.#showMirrored();
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

  /** @param {boolean} isMirrored but for what the server has written on: that must stay readable */
  setMirrored(isMirrored) {
    this.#wantsMirror = isMirrored;
    this.#showMirrored();
  }

  #showMirrored() {
    const isWrittenOn = this.#overlay.debug.mode === "off" && hasLetters(this.#look);
    const isMirrored = this.#wantsMirror && !isWrittenOn;
    this.#picture.classList.toggle("mirrored", isMirrored);
    this.#panel.isMirrored = isMirrored;
    this.#overlay.isMirrored = isMirrored;
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
    this.#recorder.add(message);
    if (this.#isPaused) return;
    debug.shown = message;
    this.#panel.show(message);
  }

  /** @param {import("./link.js").LinkStats} stats */
  showStats(stats) {
    if (stats.roundTrip_ms !== null) this.#clock.noteRoundTrip(stats.roundTrip_ms);
    this.#figures.onStats(stats);
  }

  /** @param {import("./notices.js").RunningModel} model */
  showModel(model) {
    setText(this.#model, modelNotice(model));
  }

  /** @param {import("./api.js").StreamInfo} info */
  showInfo(info) {
    const { model_complexity, model_reason } = info.stats; // a message may be lost
    if (model_complexity !== null) {
      this.showModel({ model_complexity, wanted: info.pose.model_complexity, reason: model_reason });
    }
    this.#figures.onInfo(info);
    this.#overlay.cameraRotation = Number(info.video_options?.["rotation"] ?? 0);
    this.#options.show(info);
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
    showNotice(this.#notice, notice);
    this.#countDown();
    this.#enableControls();
    if (status.state !== "live") this.#panel.clear();
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
    this.#recorder.isDisabled = isDisabled;
    this.#options.streamId = isDisabled ? "" : (this.#peer?.streamId ?? "");
  }

  #togglePause() {
    if (this.#pause.disabled) return;
    this.#isPaused = !this.#isPaused;
    this.#overlay.setPaused(this.#isPaused);
    this.#picture.classList.toggle("paused", this.#isPaused);
    this.#pause.replaceChildren(
      icon(this.#isPaused ? "play" : "pause"),
      element("span", {}, this.#isPaused ? t("Go on") : t("Pause")),
    );
    if (this.#isPaused) this.video.pause();
    else if (this.video.srcObject) play(this.video);
  }

  async #toggleFull() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else if (document.fullscreenEnabled) await this.#picture.requestFullscreen();
  }

  /** What files are named after. */
  get #subject() {
    return document.title.split(" · ")[0] ?? "";
  }

  /** Saves the picture as it is seen. */
  #saveSnapshot() {
    const copy = this.#overlay.snapshot();
    copy?.toBlob((blob) => {
      if (blob) download(blob, this.#subject, "png");
    });
  }
}
