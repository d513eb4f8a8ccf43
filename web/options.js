// What can be changed of a stream while it runs, for everybody who sees it: the options panel, and what is
// drawn.

import { requestJson, sentence, streamPath } from "./api.js";
import { byId, element, setText } from "./dom.js";
import { t } from "./i18n.js";
import { DEFAULT_LOOK } from "./look.js";
import { lookGroup } from "./look_options.js";
import { mayHere } from "./me.js";
import { poseGroups } from "./pose_options.js";
import { PrivacyGroup } from "./privacy_options.js";
import { Tabs } from "./tabs.js";
import { viewGroups } from "./zone_options.js";

/** @typedef {import("./api.js").StreamInfo} StreamInfo */
/** @typedef {import("./look.js").Look} Look */
/** @typedef {import("./fields.js").OptionGroup} OptionGroup */

export class StreamOptions {
  #style = byId("look", HTMLSelectElement);
  #sides = byId("side-colours", HTMLInputElement);
  #message = byId("option-message", HTMLElement);
  /** @type {OptionGroup[]} whoever adds options adds a group here */
  #groups = [
    lookGroup((json) => this.#changeLook(json)),
    new PrivacyGroup((json) => this.#change(json)),
    ...poseGroups((json) => this.#change(json)),
    ...viewGroups((json) => this.#change(json)),
  ];
  #look = DEFAULT_LOOK;
  #onLook;
  #streamId = "";
  #mayChange = false; // until it is known
  #changes = 0;

  /** @param {(look: Look) => void} onLook what this page itself draws is to look so */
  constructor(onLook) {
    this.#onLook = onLook;
    byId("options", HTMLElement).append(...this.#groups.map(({ root }) => root));
    new Tabs(byId("beside", HTMLElement));
    for (const control of [this.#style, this.#sides]) {
      control.addEventListener("change", () => void this.#onSimpleChange());
    }
    void this.#askWhetherItMay();
  }

  async #askWhetherItMay() {
    this.#mayChange = await mayHere("operate").catch(() => true); // the server will say
    this.#enable();
    if (this.#mayChange) return;
    const words = t("Your token is for watching: it can't change these.");
    byId("options", HTMLElement).prepend(element("p", { class: "muted" }, words));
    for (const control of [this.#style, this.#sides]) control.title = words;
  }

  /** @param {string} streamId "" for none: then nothing can be changed */
  set streamId(streamId) {
    this.#streamId = streamId;
    this.#enable();
  }

  #enable() {
    const isDisabled = !this.#streamId || !this.#mayChange;
    for (const control of [this.#style, this.#sides, ...this.#groups]) control.disabled = isDisabled;
  }

  /**
   * @param {StreamInfo} info
   * @param {boolean} [isAnswer] to a change that was made here
   */
  show(info, isAnswer = false) {
    if (this.#changes > 0) return; // older than what the person has chosen meanwhile
    for (const group of this.#groups) group.show(info, isAnswer);
    if (!isAnswer && document.activeElement === this.#style) return;
    this.#showLook(info.overlay ?? DEFAULT_LOOK);
  }

  /** @param {Look} look */
  #showLook(look) {
    this.#look = look;
    this.#style.value = look.style;
    this.#sides.checked = look.side_colours;
    this.#onLook(look);
  }

  async #onSimpleChange() {
    const overlay = { style: this.#style.value, side_colours: this.#sides.checked };
    setText(this.#message, "");
    setText(this.#message, await this.#changeLook({ overlay }));
  }

  /**
   * Here at once: what this page draws itself need not wait for the server.
   * @param {Record<string, unknown>} json with an `overlay`
   */
  #changeLook(json) {
    this.#showLook({ ...this.#look, .../** @type {Partial<Look>} */ (json["overlay"]) });
    return this.#change(json);
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
