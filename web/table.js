// The table of the 33 landmarks of one person.

import { byId, element, setText } from "./dom.js";
import { LANDMARK_NAMES, MIN_VISIBILITY, sideOf } from "./landmarks.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {{row: HTMLTableRowElement, cells: HTMLElement[], meter: HTMLElement}} Line */

const INTERVAL_MS = 100;
const DIGITS = 3;

/** Shows the newest pose about ten times a second, whenever the browser draws anyway. */
export class LandmarkTable {
  #lines;
  #person = byId("person", HTMLSelectElement);
  /** @type {Pose[]} */
  #poses = [];
  #isDirty = false;
  #drawnAt = 0;

  constructor() {
    const body = element("tbody");
    this.#lines = LANDMARK_NAMES.map((name, index) => makeLine(name, index));
    body.append(...this.#lines.map(({ row }) => row));
    byId("landmarks", HTMLTableElement).append(body);
  }

  /** @param {Pose[]} poses */
  show(poses) {
    this.#poses = poses;
    if (this.#isDirty) return;
    this.#isDirty = true;
    requestAnimationFrame((now) => this.#onFrame(now));
  }

  /** @param {number} now */
  #onFrame(now) {
    if (now - this.#drawnAt < INTERVAL_MS) {
      requestAnimationFrame((next) => this.#onFrame(next));
      return;
    }
    this.#isDirty = false;
    this.#drawnAt = now;
    this.#choosePeople();
    const pose = this.#poses[Number(this.#person.value)] ?? this.#poses[0];
    this.#lines.forEach((line, index) => showLine(line, pose?.landmarks[index]));
  }

  /** A choice only where there is one. */
  #choosePeople() {
    const count = this.#poses.length;
    this.#person.hidden = count < 2;
    while (this.#person.length < count) {
      const index = this.#person.length;
      this.#person.add(new Option(`person ${index + 1}`, String(index)));
    }
    while (this.#person.length > Math.max(count, 1)) this.#person.remove(this.#person.length - 1);
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
  row.append(element("td", {}, String(index)), element("th", { scope: "row" }, name));
  row.append(...cells, visibility);
  return { row, cells: [...cells, /** @type {HTMLElement} */ (visibility.firstChild)], meter };
}

/**
 * @param {Line} line
 * @param {import("./landmarks.js").Landmark | undefined} landmark
 */
function showLine({ row, cells, meter }, landmark) {
  const visibility = landmark?.[3] ?? 0;
  row.classList.toggle("unseen", visibility < MIN_VISIBILITY);
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
