// What can be changed of a stream while it runs, for everybody who sees it: the model, and what is drawn.

import { requestJson, sentence, streamPath } from "./api.js";
import { byId, setText } from "./dom.js";
import { DEFAULT_LOOK } from "./draw.js";

/** @typedef {import("./api.js").StreamInfo} StreamInfo */
/** @typedef {import("./draw.js").Look} Look */

export class StreamOptions {
  #model = byId("model", HTMLSelectElement);
  #style = byId("look", HTMLSelectElement);
  #sides = byId("side-colours", HTMLInputElement);
  #message = byId("option-message", HTMLElement);
  #onLook;
  #streamId = "";
  #changes = 0;

  /** @param {(look: Look) => void} onLook what this page itself draws is to look so */
  constructor(onLook) {
    this.#onLook = onLook;
    this.#model.addEventListener("change", () => {
      void this.#change({ pose: { model_complexity: Number(this.#model.value) } });
    });
    for (const control of [this.#style, this.#sides]) {
      control.addEventListener("change", () => {
        onLook(this.#look);
        void this.#change({ overlay: this.#look });
      });
    }
  }

  /** @param {string} streamId "" for none: then nothing can be changed */
  set streamId(streamId) {
    this.#streamId = streamId;
    for (const control of [this.#model, this.#style, this.#sides]) control.disabled = !streamId;
  }

  /** @param {StreamInfo} info */
  show({ pose, overlay }) {
    if (this.#changes > 0) return; // older than what the person has chosen meanwhile
    if (document.activeElement !== this.#model) this.#model.value = String(pose.model_complexity);
    if (document.activeElement === this.#style) return;
    const { style, side_colours } = overlay ?? DEFAULT_LOOK;
    this.#style.value = style;
    this.#sides.checked = side_colours;
    this.#onLook(this.#look);
  }

  /** @returns {Look} */
  get #look() {
    const style = /** @type {Look["style"]} */ (this.#style.value);
    return { style, side_colours: this.#sides.checked };
  }

  /** @param {{pose?: object, overlay?: Look}} json */
  async #change(json) {
    const path = streamPath(this.#streamId);
    setText(this.#message, "");
    this.#changes += 1;
    /** @type {StreamInfo | null} */
    let info = null;
    try {
      info = await requestJson("PATCH", path, { json });
    } catch (error) {
      setText(this.#message, sentence(error));
    } finally {
      this.#changes -= 1;
    }
    info ??= /** @type {StreamInfo} */ (await requestJson("GET", path)); // what it still is
    this.#model.value = String(info.pose.model_complexity);
    this.show(info);
  }
}
