// Where the time goes between the camera (or the frame's arrival at the server) and this screen.

import { byId, element, setText } from "./dom.js";

/** @typedef {import("./link.js").LinkStats} LinkStats */
/** @typedef {{key: string, ms: number}} Stage */

const LABELS = new Map([
  ["camera", "camera"],
  ["network", "network"],
  ["play", "decode + show"],
]);
const REST_MIN_MS = 0.5;

/**
 * The stages in the order in which a frame passes them.
 * @param {Record<string, number>} server stage -> ms; `total` covers them all
 * @param {LinkStats | null} link
 * @returns {Stage[]}
 */
export function stagesOf(server, link) {
  const { total, ...own } = server;
  const stages = Object.entries(own).map(([key, ms]) => ({ key, ms }));
  const rest = (total ?? 0) - stages.reduce((sum, { ms }) => sum + ms, 0);
  if (rest > REST_MIN_MS) stages.push({ key: "other", ms: rest });
  if (!link) return stages;
  const sends = link.encode_ms !== null;
  if (sends) stages.unshift({ key: "camera", ms: link.encode_ms ?? 0 });
  if (link.roundTrip_ms !== null) {
    stages.push({ key: "network", ms: sends ? link.roundTrip_ms : link.roundTrip_ms / 2 });
  }
  if (link.play_ms !== null) stages.push({ key: "play", ms: link.play_ms });
  return stages;
}

/** @param {Stage[]} stages */
export function sumOf(stages) {
  return stages.reduce((sum, { ms }) => sum + ms, 0);
}

/** The bar by stages; a click on the latency figure opens it. */
export class LatencyBar {
  #panel = byId("breakdown", HTMLElement);
  #bar = element("div", { class: "bar", "aria-hidden": "true" });
  #list = element("dl", { class: "stages" });
  /** @type {Map<string, {part: HTMLElement, value: HTMLElement}>} */
  #shown = new Map();

  constructor() {
    const opener = byId("latency", HTMLButtonElement);
    opener.addEventListener("click", () => {
      this.#panel.hidden = !this.#panel.hidden;
      opener.setAttribute("aria-expanded", String(!this.#panel.hidden));
    });
    this.#panel.prepend(this.#bar, this.#list);
  }

  /** @param {Stage[]} stages */
  show(stages) {
    if (this.#panel.hidden) return;
    const keys = stages.map(({ key }) => key).join();
    if (keys !== [...this.#shown.keys()].join()) this.#build(stages);
    for (const { key, ms } of stages) {
      const shown = this.#shown.get(key);
      if (!shown) continue;
      shown.part.style.flexGrow = String(Math.max(ms, 0.1));
      setText(shown.value, `${ms.toFixed(1)} ms`);
    }
  }

  /** @param {Stage[]} stages */
  #build(stages) {
    this.#shown.clear();
    this.#bar.replaceChildren();
    this.#list.replaceChildren();
    stages.forEach(({ key }, index) => {
      const shade = `shade-${index % 6}`;
      const part = element("span", { class: shade });
      const value = element("dd");
      const label = element("dt", {}, element("i", { class: shade }), LABELS.get(key) ?? key);
      this.#bar.append(part);
      this.#list.append(element("div", {}, label, value));
      this.#shown.set(key, { part, value });
    });
  }
}
