// Where the time goes between the camera (or the frame's arrival at the server) and this screen.

import { byId, element, setText } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./link.js").LinkStats} LinkStats */
/** @typedef {{key: string, ms: number}} Stage */

const LABELS = new Map([
  ["camera", t("camera")],
  ["network", t("network")],
  ["decode", t("decode")],
  ["queue", t("queue")],
  ["pose", t("pose")],
  ["draw", t("draw")],
  ["encode", t("encode")],
  ["send", t("send")],
  ["play", t("decode + show")],
  ["other", t("waiting + show")],
]);
const REST_MIN_MS = 0.5;
const SHADES = 10;

/**
 * The stages in the order in which a frame passes them.
 * @param {Record<string, number>} server stage -> ms; `total` covers them all
 * @param {Record<string, number>} sending stage -> ms, behind `total`
 * @param {LinkStats | null} link
 * @param {number | null} measured_ms the whole, when the clocks tell it
 * @returns {Stage[]}
 */
export function stagesOf(server, sending, link, measured_ms) {
  const { total = 0, ...own } = server;
  const stages = toStages(own);
  const before_ms = sumOf(stages);
  stages.push(...toStages(sending));
  const { encode_ms = null, roundTrip_ms = null, play_ms = null } = link ?? {};
  if (encode_ms !== null) {
    if (roundTrip_ms !== null) stages.unshift({ key: "network", ms: roundTrip_ms });
    stages.unshift({ key: "camera", ms: encode_ms });
  } else if (roundTrip_ms !== null) stages.push({ key: "network", ms: roundTrip_ms / 2 });
  if (play_ms !== null) stages.push({ key: "play", ms: play_ms });
  const rest_ms = measured_ms === null ? total - before_ms : measured_ms - sumOf(stages);
  if (rest_ms > REST_MIN_MS) stages.push({ key: "other", ms: rest_ms });
  return stages;
}

/** @param {Record<string, number>} latency_ms */
function toStages(latency_ms) {
  return Object.entries(latency_ms).map(([key, ms]) => ({ key, ms }));
}

/** @param {Stage[]} stages */
export function sumOf(stages) {
  return stages.reduce((sum, { ms }) => sum + ms, 0);
}

/**
 * What the figure spans.
 * @param {"capture" | "arrival" | null} from null: the clocks don't tell yet
 * @param {boolean} sends whether this page has the camera
 * @param {import("./overlay.js").OverlayMode} mode
 */
export function spanWords(from, sends, mode) {
  const end = mode === "alone" ? t("these landmarks on screen") : t("this screen");
  if (from === "capture") return t("Measured from your camera's capture of a frame to {end}.", { end });
  if (from === "arrival") return t("Measured from a frame's arrival at the server to {end}.", { end });
  const start = sends ? t("your camera") : t("a frame's arrival at the server");
  return t("The sum of these stages, from {start} to {end}.", { start, end });
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
      const shade = `shade-${index % SHADES}`;
      const part = element("span", { class: shade });
      const value = element("dd");
      const label = element("dt", {}, element("i", { class: shade }), LABELS.get(key) ?? key);
      this.#bar.append(part);
      this.#list.append(element("div", {}, label, value));
      this.#shown.set(key, { part, value });
    });
  }
}
