// A canvas that draws only when something has changed and somebody can see it, in the colours of the
// page's theme and as sharp as the screen.

/** @typedef {"text" | "muted" | "faint" | "line" | "left" | "right" | "accent-text"} ColourName */
/** @typedef {Record<ColourName, string>} Colours */
/** @typedef {{width: number, height: number}} Size */

const NAMES = /** @type {ColourName[]} */ ([
  "text", "muted", "faint", "line", "left", "right", "accent-text",
]);
const systemTheme = globalThis.matchMedia?.("(prefers-color-scheme: dark)");

export class Surface {
  #canvas;
  #draw;
  /** @type {Colours | null} null: to be read again */
  #colours = null;
  #isVisible = false;
  #isChanged = true;
  #willDraw = false;

  /**
   * @param {HTMLCanvasElement} canvas laid out by the page
   * @param {(context: CanvasRenderingContext2D, size: Size, colours: Colours) => void} draw in CSS px,
   *   on an empty canvas
   */
  constructor(canvas, draw) {
    this.#canvas = canvas;
    this.#draw = draw;
    new ResizeObserver(() => this.invalidate()).observe(canvas);
    new IntersectionObserver(([entry]) => {
      this.#isVisible = entry?.isIntersecting ?? false;
      if (this.#isVisible && this.#isChanged) this.#drawSoon();
    }).observe(canvas);
    const forget = () => {
      this.#colours = null;
      this.invalidate();
    };
    systemTheme?.addEventListener("change", forget);
    const themed = { attributes: true, attributeFilter: ["data-theme"] };
    new MutationObserver(forget).observe(document.documentElement, themed);
  }

  /** Something has changed: the next picture of the screen shows it. */
  invalidate() {
    this.#isChanged = true;
    if (this.#isVisible) this.#drawSoon();
  }

  #drawSoon() {
    if (this.#willDraw) return;
    this.#willDraw = true;
    requestAnimationFrame(() => {
      this.#willDraw = false;
      this.#isChanged = false;
      this.#drawNow();
    });
  }

  #drawNow() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    if (!context || !width || !height) return;
    const pixels = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
    const [across = 0, down = 0] = pixels;
    if (this.#canvas.width !== across) this.#canvas.width = across;
    if (this.#canvas.height !== down) this.#canvas.height = down;
    context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    this.#colours ??= this.#readColours();
    this.#draw(context, { width, height }, this.#colours);
  }

  /** Only an element's own colour comes out as one that a canvas understands. */
  #readColours() {
    const { style } = this.#canvas;
    const read = NAMES.map((name) => {
      style.color = `var(--${name})`;
      return [name, getComputedStyle(this.#canvas).color];
    });
    style.color = "";
    return /** @type {Colours} */ (Object.fromEntries(read));
  }
}
