// One stream on the wall: its live picture while it is in sight, its state, its figures, its menu.

import { kindOf, request, sentence, streamPath } from "./api.js";
import { url } from "./base.js";
import { button, closeMenuByItself, element, icon, play, setText } from "./dom.js";
import { peopleWords } from "./figures.js";
import { t } from "./i18n.js";
import { ViewerPeer } from "./peers.js";
import { openSnippets } from "./snippets.js";
import { duration, nextTry, statusOf, streamStatus } from "./words.js";

/** @typedef {import("./api.js").StreamInfo} StreamInfo */
/** @typedef {import("./words.js").Status} Status */

const STALE_AFTER_MS = 2_000;

export class Card {
  #id;
  #onRemoved;
  #peer;
  #video = element("video", { playsinline: "", "aria-hidden": "true" });
  #words = element("span", { class: "words" });
  #people = element("span", { class: "people" });
  #fps = element("span");
  #latency = element("span");
  #next = element("span", { class: "next" });
  #message = element("p", { class: "message", role: "status", "data-kind": "error" });
  #bottom = element("div", { class: "bottom" });
  /** @type {StreamInfo} */
  #info;
  #status = statusOf("connecting");

  /**
   * @param {StreamInfo} info
   * @param {() => void} onRemoved
   */
  constructor(info, onRemoved) {
    this.#id = info.id;
    this.#info = info;
    this.#onRemoved = onRemoved;
    this.#video.muted = true;
    this.#video.autoplay = true;
    this.root = element("article", { class: "card", "data-stream": info.id });
    this.#build(nameOf(info));
    this.#peer = new ViewerPeer(info.id, {
      onStatus: (status) => this.#showPeer(status),
      onMedia: (media) => {
        this.#video.srcObject = media;
        play(this.#video);
      },
      onLoss: () => this.#video.pause(),
    });
    this.update(info);
  }

  /** @param {boolean} isWatched whether anybody can see it */
  setWatched(isWatched) {
    const runs = this.#peer.status.state !== "idle";
    if (isWatched && !runs) this.#peer.start();
    if (!isWatched && runs) this.#peer.stop();
  }

  close() {
    this.#peer.stop();
    this.root.remove();
  }

  /** @param {StreamInfo} info */
  update(info) {
    this.#info = info;
    // Listed after all: a stream of this name was removed and added within one poll.
    if (this.#peer.status.ours && this.#peer.status.retryAt === null) this.#peer.stop();
    this.#peer.note(info);
    if (this.#peer.status.state === "idle") this.#showStatus(statusFrom(info));
    const { stats, people, state } = info;
    const isLive = state === "live";
    const total = stats.latency_ms["total"]?.p50;
    setText(this.#people, isLive && people ? peopleWords(people) : "");
    setText(this.#fps, isLive ? `${stats.pose_fps.toFixed(1)} fps` : "");
    setText(this.#latency, isLive && total !== undefined ? `${Math.round(total)} ms` : "");
    this.showNext();
  }

  /** What moves by itself between two updates. */
  showNext() {
    const { frame_age_ms: age_ms } = this.#info.stats;
    const isOld = this.#info.state !== "live" && age_ms !== null && age_ms > STALE_AFTER_MS;
    const last = isOld ? t("last picture {time} ago", { time: duration(age_ms / 1000) }) : "";
    const next = nextTry({ ...this.#status, attempt: 0 }); // no room for a count
    setText(this.#next, [next, last].filter(Boolean).join(" · "));
  }

  /** @param {string} name */
  #build(name) {
    const href = url(`/streams/${encodeURIComponent(this.#id)}`);
    const picture = element("a", { class: "thumb", href, "aria-label": t("Open {name}", { name }) });
    picture.append(this.#video);
    const title = element("a", { class: "name", href }, name);
    const state = element("p", { class: "state" }, element("i", { class: "dot" }), title);
    state.append(this.#words);
    this.#bottom.append(
      element("div", { class: "line" }, state, this.#people),
      element("p", { class: "line figures" }, this.#fps, this.#latency, this.#next),
      this.#menu(name),
    );
    this.root.append(picture, this.#bottom, this.#message);
  }

  /** @param {string} name */
  #menu(name) {
    const summary = element("summary", { "aria-label": t("Menu of {name}", { name }), title: t("Menu") });
    summary.append(icon("more"));
    const open = element("a", { href: url(`/streams/${encodeURIComponent(this.#id)}`) }, t("Open"));
    const items = [
      open,
      button(t("Copy code"), () => openSnippets(this.#id)),
      button(t("Restart"), () => void this.#act("POST", `${streamPath(this.#id)}/restart`), {
        "data-needs": "operate",
      }),
      button(t("Remove…"), () => this.#askToRemove(name), { class: "danger", "data-needs": "admin" }),
    ];
    const menu = element("details", { class: "menu" }, summary, element("div", {}, ...items));
    closeMenuByItself(menu);
    return menu;
  }

  /**
   * Asks in the card itself.
   * @param {string} name
   */
  #askToRemove(name) {
    const close = () => {
      question.remove();
      this.#bottom.hidden = false;
      this.#bottom.querySelector("summary")?.focus();
    };
    const remove = button(t("Remove"), () => void this.#remove(close), { class: "danger" });
    const keep = button(t("Keep"), close);
    const question = element("div", { class: "question", role: "group" });
    question.append(element("p", {}, t("Remove {name}?", { name })), remove, keep);
    question.addEventListener("keydown", (event) => {
      if (event.key === "Escape") close();
    });
    this.#bottom.hidden = true;
    this.root.append(question);
    keep.focus();
  }

  /** @param {() => void} close */
  async #remove(close) {
    close();
    if (await this.#act("DELETE", streamPath(this.#id))) this.#onRemoved();
  }

  /**
   * @param {string} method
   * @param {string} path
   */
  async #act(method, path) {
    setText(this.#message, "");
    try {
      await request(method, path);
      return true;
    } catch (error) {
      setText(this.#message, sentence(error));
      return false;
    }
  }

  /** @param {Status} status */
  #showPeer(status) {
    this.#showStatus(status.state === "idle" ? statusFrom(this.#info) : status);
  }

  /** @param {Status} status */
  #showStatus(status) {
    this.#status = status;
    this.root.dataset.state = status.state;
    this.root.classList.toggle("dim", status.ours);
    setText(this.#words, status.words);
    this.showNext();
  }
}

/** @param {StreamInfo} info */
function statusFrom({ state, detail, retry_in_s, attempt, last_error }) {
  return streamStatus(state, { detail, kind: kindOf(last_error?.type), retry_in_s, attempt });
}

/** @param {StreamInfo} info */
function nameOf({ id, source }) {
  return source.type === "webcam" ? t("Webcam {id}", { id: id.slice(0, 4) }) : id;
}
