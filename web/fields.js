// The fields of the options panel: each has a label, a control, and a line that explains it.

import { element, setText } from "./dom.js";

/** @typedef {string | number | boolean} Value */
/** @typedef {import("./api.js").StreamInfo} StreamInfo */
/** @typedef {Record<string, unknown>} Options one section of a stream: its `pose`, its `overlay`, … */
/** @typedef {"pose" | "overlay" | "video_options" | "privacy"} Section */
/** @typedef {(json: Record<string, unknown>) => Promise<string>} Change PATCHes the stream; what was wrong, or "" */

/**
 * What the panel is made of. A part of the program that has options of its own makes one.
 * @typedef {object} OptionGroup
 * @property {HTMLElement} root
 * @property {(info: StreamInfo, isAnswer: boolean) => void} show what the stream has now; whether this
 *   answers a change
 * @property {boolean} disabled
 */

/**
 * @typedef {object} Field
 * @property {HTMLElement} root
 * @property {HTMLInputElement | HTMLSelectElement} control
 * @property {(options: Options) => void} show
 * @property {() => Options} change what of the section is to be as the control has it
 */

let made = 0;

/**
 * One of some values.
 * @param {string} key of the option
 * @param {string} label
 * @param {string} help
 * @param {[Value, string][]} choices each value with its words
 * @param {{read?: (options: Options) => unknown, write?: (value: string) => Options}} [meaning] where
 *   the choice is not simply the option's value
 * @returns {Field}
 */
export function choice(key, label, help, choices, meaning = {}) {
  const control = element("select", { name: key });
  for (const [value, words] of choices) control.add(new Option(words, String(value)));
  const { read = (options) => options[key], write = (value) => ({ [key]: valueOf(choices, value) }) } = meaning;
  return {
    root: row(control, label, help),
    control,
    show: (options) => { control.value = String(read(options)); },
    change: () => write(control.value),
  };
}

/**
 * @param {[Value, string][]} choices
 * @param {string} text as the control has it
 */
function valueOf(choices, text) {
  return choices.find(([value]) => String(value) === text)?.[0];
}

/**
 * On or off.
 * @param {string} key
 * @param {string} label
 * @param {string} help
 * @returns {Field}
 */
export function check(key, label, help) {
  const control = element("input", { type: "checkbox", name: key });
  return {
    root: row(control, label, help),
    control,
    show: (options) => { control.checked = options[key] === true; },
    change: () => ({ [key]: control.checked }),
  };
}

/**
 * A number.
 * @param {string} key
 * @param {string} label
 * @param {string} help
 * @param {{min: number, max: number, step: number}} limits
 * @returns {Field}
 */
export function number(key, label, help, { min, max, step }) {
  const control = element("input", {
    type: "number", name: key, min: String(min), max: String(max), step: String(step), required: "",
  });
  return {
    root: row(control, label, help),
    control,
    show: (options) => { control.value = String(options[key]); },
    change: () => ({ [key]: control.valueAsNumber }),
  };
}

/**
 * Fields of one section under a title: each is sent when it changes, and what is wrong is said below.
 * @implements {OptionGroup}
 */
export class FieldGroup {
  #section;
  #fields;
  #change;
  #message = element("p", { class: "message", role: "status", "data-kind": "error" });

  /**
   * @param {string} title
   * @param {Section} section which the fields belong to
   * @param {Field[]} fields
   * @param {Change} change
   */
  constructor(title, section, fields, change) {
    this.#section = section;
    this.#fields = fields;
    this.#change = change;
    const roots = fields.map(({ root }) => root);
    this.root = element("fieldset", {}, element("legend", {}, title), ...roots, this.#message);
    this.disabled = true;
    for (const field of fields) field.control.addEventListener("change", () => void this.#send(field));
  }

  /** @param {boolean} isDisabled */
  set disabled(isDisabled) {
    for (const { control } of this.#fields) control.disabled = isDisabled;
  }

  /**
   * @param {StreamInfo} info
   * @param {boolean} isAnswer
   */
  show(info, isAnswer) {
    const options = /** @type {Options | undefined} */ (info[this.#section]);
    if (!options) return;
    for (const field of this.#fields) {
      // A list that is open or a number that is being written is the person's, not ours.
      if (isAnswer || document.activeElement !== field.control) field.show(options);
    }
  }

  /** @param {Field} field */
  async #send(field) {
    if (!field.control.reportValidity()) return;
    setText(this.#message, "");
    setText(this.#message, await this.#change({ [this.#section]: field.change() }));
  }
}

/**
 * @param {HTMLInputElement | HTMLSelectElement} control
 * @param {string} label
 * @param {string} help
 */
function row(control, label, help) {
  const id = `option-help-${made++}`;
  control.setAttribute("aria-describedby", id);
  return element(
    "div",
    { class: "option" },
    element("label", {}, element("span", {}, label), control),
    element("p", { id, class: "help" }, help),
  );
}
