// What of the camera's picture viewers may see, and the sign over the picture that says so.

import { byId, element, setText } from "./dom.js";
import { choice, FieldGroup, number } from "./fields.js";
import { t } from "./i18n.js";

/** @typedef {import("./fields.js").Change} Change */
/** @typedef {import("./fields.js").OptionGroup} OptionGroup */
/** @typedef {import("./api.js").StreamInfo} StreamInfo */

const OFF = "off";
const MAX_HOLD_S = 3600;

/** @type {[string, string][]} each mode as a choice */
const MODES = [
  [OFF, t("off: the camera's picture")],
  ["skeleton", t("skeleton on black")],
  ["silhouette", t("silhouettes")],
  ["blur", t("people blurred")],
  ["blur_background", t("background blurred")],
  ["cover_face", t("faces covered")],
];

/**
 * The options of [privacy]. Where the server's configuration has locked them they are shown, and no more.
 * @implements {OptionGroup}
 */
export class PrivacyGroup {
  #fields;
  #lock = element(
    "p",
    { class: "help", hidden: "" },
    t("Locked by the server's configuration: only who runs the server can change it."),
  );
  #badge = element("p", { class: "privacy-badge", role: "status" });
  #isLocked = false;
  #isDisabled = true;

  /** @param {Change} change */
  constructor(change) {
    const fields = [
      choice(
        "mode",
        t("What may be seen"),
        t("For everybody and in every picture of this stream, snapshots too. " +
          "Only the skeleton on black is certain to show nobody whom the model does not find."),
        MODES,
      ),
      number(
        "hold_s",
        t("Hold, seconds"),
        t("So long the place stays covered where somebody was seen who is not found any more."),
        { min: 0.5, max: MAX_HOLD_S, step: 0.5 },
      ),
    ];
    this.#fields = new FieldGroup(t("Privacy"), "privacy", fields, change);
    this.root = this.#fields.root;
    this.root.append(this.#lock);
    byId("picture", HTMLElement).append(this.#badge);
  }

  /** @param {boolean} isDisabled */
  set disabled(isDisabled) {
    this.#isDisabled = isDisabled;
    this.#fields.disabled = isDisabled || this.#isLocked;
  }

  /**
   * @param {StreamInfo} info
   * @param {boolean} isAnswer
   */
  show(info, isAnswer) {
    const { mode, locked } = info.privacy ?? { mode: OFF, locked: false };
    this.#isLocked = locked === true;
    this.#lock.hidden = !this.#isLocked;
    this.disabled = this.#isDisabled;
    this.#fields.show(info, isAnswer);
    const words = mode === OFF ? "" : (MODES.find(([value]) => value === mode)?.[1] ?? String(mode));
    setText(this.#badge, words && t("Viewers see: {what}", { what: words }));
  }
}
