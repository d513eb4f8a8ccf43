// What stands beside the picture: the 3D view, the angles and the table of the landmarks.

import { AngleCharts } from "./charts.js";
import { byId } from "./dom.js";
import { PersonChoice } from "./person.js";
import { SpaceView } from "./space.js";
import { LandmarkTable } from "./table.js";

/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */

const READ_INTERVAL_MS = 100; // figures that change more often can't be read

export class Panel {
  #person = new PersonChoice(() => this.#charts.clear());
  #space = new SpaceView(byId("space", HTMLCanvasElement));
  #charts = new AngleCharts();
  #table = new LandmarkTable();
  /** @type {PoseMessage | null} the newest, for the figures */
  #newest = null;
  #willRead = false;
  #readAt_ms = 0;

  /** @param {boolean} isMirrored */
  set isMirrored(isMirrored) {
    this.#space.isMirrored = isMirrored;
  }

  /** @param {PoseMessage} message */
  show(message) {
    this.#newest = message;
    this.#person.offer(message.poses.length);
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
    return poses[this.#person.index] ?? poses[0];
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
}
