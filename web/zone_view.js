// The zones over the picture: their outlines, and the drawing of a new one by pointer or keyboard.

import { element } from "./dom.js";
import { t } from "./i18n.js";
import { areNear, placeAt } from "./zone_geometry.js";

/** @typedef {import("./zone_geometry.js").Point} Point */
/** @typedef {import("./zone_geometry.js").Size} Size */
/** @typedef {"region" | "ignore"} ZoneKind */
/** @typedef {{kind: ZoneKind, corners: Point[]}} Zone */

export const MIN_CORNERS = 3;
const MAX_CORNERS = 32; // the server's limit
const STEP = 0.01; // of the picture; with shift five times as much
const LARGE_STEPS = 5;
const CORNER_PX = 5;
const SVG = "http://www.w3.org/2000/svg";
/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class ZoneView {
  #svg = document.createElementNS(SVG, "svg");
  #said = element("p", { class: "visually-hidden", role: "status" });
  #parent;
  #onChange;
  #onFinish;
  /** @type {Size} */
  #picture = { width: 4, height: 3 };
  /** @type {Zone[]} */
  #zones = [];
  /** @type {Zone | null} being drawn */
  #drawn = null;
  /** @type {Point | null} of the keyboard */
  #cursor = null;
  #marked = -1;

  /**
   * @param {HTMLElement} parent what the video fills; of class `mirrored` while it is
   * @param {() => void} onChange the zone that is being drawn has another number of corners
   * @param {(zone: Zone | null) => void} onFinish it is whole; null: it is not wanted any more
   */
  constructor(parent, onChange, onFinish) {
    this.#parent = parent;
    this.#onChange = onChange;
    this.#onFinish = onFinish;
    this.#svg.classList.add("zones");
    this.#svg.ariaHidden = "true";
    this.#svg.addEventListener("click", (event) => this.#onClick(event));
    this.#svg.addEventListener("keydown", (event) => this.#onKey(event));
    parent.append(this.#svg, this.#said);
  }

  /** How many corners the zone has that is being drawn. */
  get corners() {
    return this.#drawn?.corners.length ?? 0;
  }

  /**
   * @param {Zone[]} zones
   * @param {Size} picture as it is shown
   */
  show(zones, picture) {
    this.#zones = zones;
    this.#picture = picture;
    this.#paint();
  }

  /** @param {number} index of the zone to be pointed out; -1: none */
  set marked(index) {
    this.#marked = index;
    this.#paint();
  }

  /** @param {ZoneKind} kind */
  begin(kind) {
    this.#drawn = { kind, corners: [] };
    this.#cursor = null;
    this.#svg.setAttribute("tabindex", "0");
    this.#svg.setAttribute("role", "application");
    this.#svg.ariaHidden = null;
    this.#svg.ariaLabel = t(
      "Draw a zone: arrow keys move, space sets a corner, Backspace takes one back, Enter finishes, Escape cancels",
    );
    this.#parent.scrollIntoView({ block: "nearest" });
    this.#changed();
    this.#svg.focus({ preventScroll: true });
  }

  takeBack() {
    this.#drawn?.corners.pop();
    this.#changed();
  }

  finish() {
    if (this.corners >= MIN_CORNERS) this.#end(this.#drawn);
  }

  cancel() {
    if (this.#drawn) this.#end(null);
  }

  /** @param {Zone | null} zone */
  #end(zone) {
    this.#drawn = this.#cursor = null;
    this.#svg.removeAttribute("tabindex");
    this.#svg.ariaHidden = "true";
    this.#paint();
    this.#onFinish(zone);
  }

  #changed() {
    this.#said.textContent = t("{count} corners", { count: this.corners });
    this.#paint();
    this.#onChange();
  }

  /** @param {Point} place */
  #add(place) {
    const corners = this.#drawn?.corners ?? [];
    const box = this.#svg.getBoundingClientRect();
    const isOn = (/** @type {Point | undefined} */ corner) =>
      corner !== undefined && areNear(corner, place, box, this.#picture);
    if (isOn(corners[0])) {
      this.finish();
      return;
    }
    if (corners.length >= MAX_CORNERS || isOn(corners.at(-1))) return;
    corners.push(place);
    this.#changed();
  }

  /** @param {MouseEvent} event */
  #onClick(event) {
    if (!this.#drawn) return;
    const box = this.#svg.getBoundingClientRect();
    const at = { x: event.clientX - box.left, y: event.clientY - box.top };
    this.#cursor = null;
    this.#add(placeAt(at, box, this.#picture, this.#isMirrored));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const arrow = ARROWS[event.key];
    if (!this.#drawn || event.ctrlKey || event.metaKey || event.altKey) return;
    if (arrow) this.#moveCursor(arrow, event.shiftKey ? LARGE_STEPS * STEP : STEP);
    else if (event.key === " ") this.#add(this.#cursor ?? [0.5, 0.5]);
    else if (event.key === "Enter") this.finish();
    else if (event.key === "Backspace") this.takeBack();
    else if (event.key === "Escape") this.cancel();
    else return;
    event.preventDefault();
    event.stopPropagation(); // the page's own keys
  }

  /**
   * @param {Point} arrow as it is seen
   * @param {number} step
   */
  #moveCursor([across, down], step) {
    const [x, y] = this.#cursor ?? [0.5, 0.5];
    const right = this.#isMirrored ? -across : across;
    const within = (/** @type {number} */ share) => Math.round(Math.min(1, Math.max(0, share)) * 1000) / 1000;
    this.#cursor = [within(x + right * step), within(y + down * step)];
    this.#said.textContent = this.#cursor.map((share) => `${Math.round(share * 100)} %`).join(", ");
    this.#paint();
  }

  get #isMirrored() {
    return this.#parent.classList.contains("mirrored");
  }

  /** `preserveAspectRatio` places the drawing as `object-fit: contain` places the video. */
  #paint() {
    const { width, height } = this.#picture;
    this.#svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.#svg.classList.toggle("drawing", this.#drawn !== null);
    const shapes = this.#zones.map((zone, index) => {
      const name = `zone ${zone.kind}${index === this.#marked ? " marked" : ""}`;
      return this.#shape("polygon", { class: name, points: this.#points(zone.corners) });
    });
    if (this.#drawn) shapes.push(...this.#sketch(this.#drawn));
    this.#svg.replaceChildren(...shapes);
  }

  /** @param {Zone} drawn */
  #sketch({ kind, corners }) {
    const open = this.#cursor ? [...corners, this.#cursor] : corners;
    const shapes = [
      this.#shape("polygon", { class: `zone ${kind} sketch`, points: this.#points(open) }),
      this.#shape("polyline", { class: `edge ${kind}`, points: this.#points(open) }),
    ];
    // Drawn in the picture's pixels, and yet as large on a small screen as on a large one.
    const box = this.#svg.getBoundingClientRect();
    const px = Math.max(this.#picture.width / box.width, this.#picture.height / box.height);
    corners.forEach(([x, y], index) => {
      const isEnd = index === 0 && corners.length >= MIN_CORNERS;
      const radius = CORNER_PX * px * (isEnd ? 1.8 : 1);
      const [cx, cy] = [String(x * this.#picture.width), String(y * this.#picture.height)];
      shapes.push(this.#shape("circle", { class: `corner ${kind}`, cx, cy, r: String(radius) }));
    });
    if (this.#cursor) shapes.push(this.#cross(this.#cursor, 3 * CORNER_PX * px));
    return shapes;
  }

  /**
   * @param {Point} at
   * @param {number} reach
   */
  #cross([x, y], reach) {
    const [cx, cy] = [x * this.#picture.width, y * this.#picture.height];
    const d = `M${cx - reach},${cy}h${2 * reach}M${cx},${cy - reach}v${2 * reach}`;
    return this.#shape("path", { class: "cross", d });
  }

  /** @param {Point[]} corners */
  #points(corners) {
    const { width, height } = this.#picture;
    return corners.map(([x, y]) => `${x * width},${y * height}`).join(" ");
  }

  /**
   * @param {string} name
   * @param {Record<string, string>} attributes
   */
  #shape(name, attributes) {
    const shape = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) shape.setAttribute(key, value);
    return shape;
  }
}
