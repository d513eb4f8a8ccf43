// A sparkline of the last minute of one figure.

import { Surface } from "./surface.js";

/** @typedef {import("./surface.js").ColourName} ColourName */

const WINDOW_MS = 60_000;
const GAP_MS = 3_000;
const MARGIN_PX = 2;

/** One figure's last minute, on as many canvases as the page has for it. */
export class Trend {
  /** @type {{at_ms: number, value: number}[]} */
  #samples = [];
  #surfaces;

  /**
   * @param {HTMLCanvasElement[]} canvases
   * @param {ColourName} colour
   */
  constructor(canvases, colour) {
    this.#surfaces = canvases.map(
      (canvas) =>
        new Surface(canvas, (context, size, colours) => {
          context.fillStyle = colours.line;
          context.fillRect(0, size.height - 1, size.width, 1);
          this.#draw(context, size, colours[colour]);
        }),
    );
  }

  /** The lowest and the highest of the minute, or null. */
  get range() {
    const values = this.#samples.map(({ value }) => value);
    return values.length > 0 ? { low: Math.min(...values), high: Math.max(...values) } : null;
  }

  /**
   * @param {number} value
   * @param {number} at_ms
   */
  add(value, at_ms) {
    this.#samples.push({ at_ms, value });
    this.#samples = this.#samples.filter((each) => each.at_ms >= at_ms - WINDOW_MS);
    for (const surface of this.#surfaces) surface.invalidate();
  }

  /**
   * From zero up to the highest: a small wobble looks small. It breaks where nothing came.
   * @param {CanvasRenderingContext2D} context
   * @param {import("./surface.js").Size} size
   * @param {string} colour
   */
  #draw(context, { width, height }, colour) {
    const newest_ms = this.#samples.at(-1)?.at_ms ?? 0;
    const top = Math.max(1, this.range?.high ?? 1);
    context.strokeStyle = colour;
    context.lineWidth = 1.25;
    context.lineJoin = "round";
    context.beginPath();
    let before_ms = -Infinity;
    for (const { at_ms, value } of this.#samples) {
      const x = width - MARGIN_PX - ((newest_ms - at_ms) / WINDOW_MS) * (width - 2 * MARGIN_PX);
      const y = height - MARGIN_PX - (value / top) * (height - 2 * MARGIN_PX);
      if (at_ms - before_ms > GAP_MS) context.moveTo(x, y);
      else context.lineTo(x, y);
      before_ms = at_ms;
    }
    context.stroke();
  }
}
