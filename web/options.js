// What can be changed of a stream while it runs, for everybody who sees it: the options panel, and what is
// drawn.

import { requestJson, sentence, streamPath } from "./api.js";
import { byId, setText } from "./dom.js";
import { DEFAULT_LOOK } from "./draw.js";
import { poseGroups } from "./pose_options.js";
import { Tabs } from "./tabs.js";
import { viewGroups } from "./zone_options.js";

/** @typedef {import("./api.js").StreamInfo} StreamInfo */
/** @typedef {import("./draw.js").Look} Look */
/** @typedef {import("./fields.js").OptionGroup} OptionGroup */

export class StreamOptions {
  #style = byId("look", HTMLSelectElement);
  #sides = byId("side-colours", HTMLInputElement);
  #message = byId("option-message", HTMLElement);
  /** @type {OptionGroup[]} whoever adds options adds a group here */
  #groups = [
    ...poseGroups((json) => this.#change(json)),
    ...viewGroups((json) => this.#change(json)),
  ];
  #onLook;
  #streamId = "";
  #changes = 0;

  /** @param {(look: Look) => void} onLook what this page itself draws is to look so */
  constructor(onLook) {
    this.#onLook = onLook;
    byId("options", HTMLElement).append(...this.#groups.map(({ root }) => root));
    new Tabs(byId("beside", HTMLElement));
    for (const control of [this.#style, this.#sides]) {
      control.addEventListener("change", () => {
        onLook(this.#look);
        void this.#changeLook();
      });
    }
  }

  /** @param {string} streamId "" for none: then nothing can be changed */
  set streamId(streamId) {
    this.#streamId = streamId;
    for (const control of [this.#style, this.#sides, ...this.#groups]) control.disabled = !streamId;
  }

  /**
   * @param {StreamInfo} info
   * @param {boolean} [isAnswer] to a change that was made here
   */
  show(info, isAnswer = false) {
    if (this.#changes > 0) return; // older than what the person has chosen meanwhile
    for (const group of this.#groups) group.show(info, isAnswer);
    if (document.activeElement === this.#style) return;
    const { style, side_colours } = info.overlay ?? DEFAULT_LOOK;
    this.#style.value = style;
    this.#sides.checked = side_colours;
    this.#onLook(this.#look);
  }

  /** @returns {Look} */
  get #look() {
    const style = /** @type {Look["style"]} */ (this.#style.value);
    return { style, side_colours: this.#sides.checked };
  }

  async #changeLook() {
    setText(this.#message, "");
    setText(this.#message, await this.#change({ overlay: this.#look }));
  }

  /**
   * @param {Record<string, unknown>} json
   * @returns {Promise<string>} what was wrong; then all stays as it was, and is shown so
   */
  async #change(json) {
    const path = streamPath(this.#streamId);
    this.#changes += 1;
    let problem = "";
    /** @type {StreamInfo | null} */
    let info = null;
    try {
      info = await requestJson("PATCH", path, { json });
    } catch (error) {
      problem = sentence(error);
      info = await requestJson("GET", path).catch(() => null); // its error would say no more
    } finally {
      this.#changes -= 1;
    }
    if (info) this.show(info, true);
    return problem;
  }
}
