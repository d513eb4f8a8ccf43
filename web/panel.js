// What stands beside the picture: the 3D view, the angles and the table of the landmarks.

import { AngleCharts } from "./charts.js";
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { SpaceView } from "./space.js";
import { LandmarkTable } from "./table.js";

/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */

const READ_INTERVAL_MS = 100; // figures that change more often can't be read

export class Panel {
  #person = byId("person", HTMLSelectElement);
  #space = new SpaceView(byId("space", HTMLCanvasElement));
  #charts = new AngleCharts();
  #table = new LandmarkTable();
  /** @type {PoseMessage | null} the newest, for the figures */
  #newest = null;
  #willRead = false;
  #readAt_ms = 0;

  constructor() {
    this.#person.addEventListener("change", () => this.#charts.clear());
  }

  /** @param {boolean} isMirrored */
  set isMirrored(isMirrored) {
    this.#space.isMirrored = isMirrored;
  }

  /** @param {PoseMessage} message */
  show(message) {
    this.#newest = message;
    this.#choosePeople(message.poses.length);
    this.#space.show(message.poses);
    this.#charts.add(message, this.#chosen);
    this.#readSoon();
  }

  /** Nothing comes any more; the charts keep their past. */
  clear() {
    this.#newest = null;
    this.#space.show([]);
    this.#readSoon();
  }

  get #chosen() {
    const poses = this.#newest?.poses ?? [];
    return poses[Number(this.#person.value)] ?? poses[0];
  }

  /** About ten times a second, whenever the browser draws anyway. */
  #readSoon() {
    if (this.#willRead) return;
    this.#willRead = true;
    const read = (/** @type {number} */ now_ms) => {
      if (now_ms - this.#readAt_ms < READ_INTERVAL_MS) return void requestAnimationFrame(read);
      this.#willRead = false;
      this.#readAt_ms = now_ms;
      this.#table.show(this.#chosen);
      this.#charts.showValues(this.#newest !== null);
    };
    requestAnimationFrame(read);
  }

  /**
   * A choice only where there is one.
   * @param {number} count
   */
  #choosePeople(count) {
    this.#person.hidden = count < 2;
    while (this.#person.length < count) {
      const index = this.#person.length;
      this.#person.add(new Option(t("person {number}", { number: index + 1 }), String(index)));
    }
    while (this.#person.length > Math.max(count, 1)) this.#person.remove(this.#person.length - 1);
  }
}
