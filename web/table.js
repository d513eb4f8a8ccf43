// The table of the 33 landmarks of one person.

import { byId, element, setText } from "./dom.js";
import { t } from "./i18n.js";
import { LANDMARK_NAMES, MIN_VISIBILITY, sideOf } from "./landmarks.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {{row: HTMLTableRowElement, cells: HTMLElement[], meter: HTMLElement}} Line */

const DIGITS = 3;

export class LandmarkTable {
  #lines;

  constructor() {
    const body = element("tbody");
    this.#lines = LANDMARK_NAMES.map((name, index) => makeLine(name, index));
    body.append(...this.#lines.map(({ row }) => row));
    byId("landmarks", HTMLTableElement).append(body);
  }

  /** @param {Pose | undefined} pose */
  show(pose) {
    this.#lines.forEach((line, index) => {
      showLine(line, pose?.landmarks[index], pose?.predicted?.includes(index));
    });
  }
}

/**
 * @param {string} name
 * @param {number} index
 * @returns {Line}
 */
function makeLine(name, index) {
  const cells = ["x", "y", "z"].map(() => element("td"));
  const meter = element("i");
  const visibility = element("td", { class: "visibility" }, element("span"), meter);
  const row = element("tr", { "data-index": String(index), "data-side": sideOf(index) });
  row.append(element("td", {}, String(index)), element("th", { scope: "row" }, t(name)));
  row.append(...cells, visibility);
  return { row, cells: [...cells, /** @type {HTMLElement} */ (visibility.firstChild)], meter };
}

/**
 * @param {Line} line
 * @param {import("./landmarks.js").Landmark | undefined} landmark
 * @param {boolean} [isUnseen] as far as the server knows it
 */
function showLine({ row, cells, meter }, landmark, isUnseen) {
  const visibility = landmark?.[3] ?? 0;
  row.classList.toggle("unseen", isUnseen ?? visibility < MIN_VISIBILITY);
  cells.forEach((cell, index) => {
    setText(cell, landmark ? number(landmark[index] ?? 0, index < 3 ? DIGITS : 2) : "");
  });
  meter.style.setProperty("--share", visibility.toFixed(2));
}

/**
 * With a real minus, which is as wide as a plus or a figure.
 * @param {number} value
 * @param {number} digits
 */
function number(value, digits) {
  return value.toFixed(digits).replace("-", "−");
}
