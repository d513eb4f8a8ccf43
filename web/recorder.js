// The button that records landmarks in the page and saves them as a file.

import { button, byId, element, icon, setText } from "./dom.js";
import { download } from "./download.js";
import { t } from "./i18n.js";
import { LIMIT_BYTES, LIMIT_S, Recording } from "./recording.js";

/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */

const SHOW_INTERVAL_MS = 500;
const BYTES_PER_MB = 1_000_000;

export class Recorder {
  #button = byId("record", HTMLButtonElement);
  /** @type {Recording | null} */
  #recording = null;
  #subject;
  #isDisabled = true;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;

  /** @param {() => string} subject the name of what is shown, for the file's */
  constructor(subject) {
    this.#subject = subject;
    this.#button.addEventListener("click", () => this.toggle());
    this.#showIdle();
  }

  /** @param {boolean} isDisabled nothing comes that could be recorded; what has come can be saved */
  set isDisabled(isDisabled) {
    this.#isDisabled = isDisabled;
    this.#button.disabled = isDisabled && !this.#recording;
  }

  /** Starts, or stops and asks how to save. */
  toggle() {
    if (this.#button.disabled) return;
    if (this.#recording) this.#stop();
    else this.#start();
  }

  /** @param {PoseMessage} message */
  add(message) {
    this.#recording?.add(message, performance.now());
  }

  #start() {
    this.#recording = new Recording(performance.now());
    this.#button.setAttribute("aria-pressed", "true");
    const figures = element("span", { class: "figures" });
    this.#button.replaceChildren(icon("record"), figures);
    const show = () => {
      if (!this.#recording) return;
      setText(figures, amount(this.#recording));
      if (this.#recording.isFull(performance.now())) this.#stop();
    };
    this.#timer = setInterval(show, SHOW_INTERVAL_MS);
    show();
  }

  #stop() {
    clearInterval(this.#timer);
    const recording = this.#recording;
    this.#recording = null;
    this.#showIdle();
    if (recording) askHowToSave(recording, this.#subject());
  }

  #showIdle() {
    this.#button.disabled = this.#isDisabled;
    this.#button.setAttribute("aria-pressed", "false");
    this.#button.replaceChildren(icon("record"), element("span", {}, t("Record")));
  }
}

/** @param {Recording} recording */
function amount(recording) {
  const seconds = Math.floor(recording.seconds(performance.now()));
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  return `${time} · ${(recording.bytes / BYTES_PER_MB).toFixed(1)} MB`;
}

/**
 * @param {Recording} recording
 * @param {string} subject
 */
function askHowToSave(recording, subject) {
  const dialog = element("dialog", { "aria-labelledby": "save-title", id: "save" });
  const limit = t("It ended by itself: a page records {minutes} minutes or {size} MB at most.", {
    minutes: LIMIT_S / 60,
    size: LIMIT_BYTES / BYTES_PER_MB,
  });
  const isFull = recording.isFull(performance.now());
  const figures = t("{count} messages, {amount}", {
    count: recording.messages,
    amount: amount(recording),
  });
  const name = `${subject}-landmarks`;
  const json = button("JSON Lines", () => download(recording.toJsonLines(), name, "jsonl"));
  const csv = button("CSV", () => download(recording.toCsv(), name, "csv"));
  json.classList.add("primary");
  json.autofocus = true;
  dialog.append(
    element("h2", { id: "save-title" }, t("Save the recording")),
    element("p", { class: "muted" }, figures),
    ...(isFull ? [element("p", { class: "muted" }, limit)] : []),
    element("div", { class: "actions" }, json, csv, button(t("Close"), () => dialog.close())),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
