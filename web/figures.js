// The figures beside the picture: people, size, frames a second, latency, drops.

import { byId, setText } from "./dom.js";
import { median } from "./clock.js";
import { t } from "./i18n.js";
import { LatencyBar, spanWords, stagesOf, sumOf } from "./latency.js";
import { Trend } from "./trend.js";

/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./link.js").LinkStats} LinkStats */
/** @typedef {import("./clock.js").Latency} Latency */
/** @typedef {import("./overlay.js").OverlayMode} OverlayMode */

const WINDOW_MS = 2_000;
const INTERVAL_MS = 500;
const FULL_WINDOW = 5; // messages
const SENDING_STAGES = ["encode", "send"];
/** One in the top bar, one in the breakdown. */
const canvasesOf = (/** @type {string} */ name) => [
  byId(`trend-${name}`, HTMLCanvasElement),
  byId(`minute-${name}`, HTMLCanvasElement),
];

/** Collects messages as they come and shows the figures of the last two seconds, twice a second. */
export class Figures {
  #root = byId("figures", HTMLElement);
  #people = byId("people", HTMLElement);
  #size = byId("size", HTMLElement);
  #fps = byId("fps", HTMLElement);
  #latency = byId("latency", HTMLButtonElement);
  #dropped = byId("dropped", HTMLElement);
  #losses = byId("losses", HTMLElement);
  #span = byId("span", HTMLElement);
  #fpsRange = byId("range-fps", HTMLElement);
  #latencyRange = byId("range-latency", HTMLElement);
  #bar = new LatencyBar();
  #fpsTrend = new Trend(canvasesOf("fps"), "muted");
  #latencyTrend = new Trend(canvasesOf("latency"), "accent-text");
  /** @type {{at: number, message: PoseMessage}[]} */
  #recent = [];
  /** @type {LinkStats | null} */
  #link = null;
  /** @type {{at: number, latency: Latency}[]} from the frames on display themselves */
  #measured = [];
  /** @type {Record<string, number>} stages behind the message, of the stream */
  #sending = {};
  /** @type {OverlayMode} */
  #mode = "off";
  #lost = 0;

  constructor() {
    setInterval(() => this.#render(), INTERVAL_MS);
  }

  /** @param {PoseMessage} message */
  onPose(message) {
    const before = this.#recent.at(-1)?.message;
    if (before?.epoch === message.epoch && message.seq > before.seq + 1) {
      this.#lost += message.seq - before.seq - 1;
    }
    this.#recent.push({ at: performance.now(), message });
  }

  /** @param {LinkStats} stats */
  onStats(stats) {
    this.#link = stats;
  }

  /** @param {Latency} latency of a frame that went on display */
  onLatency(latency) {
    this.#measured.push({ at: performance.now(), latency });
  }

  /** @param {import("./api.js").StreamInfo} info */
  onInfo({ stats }) {
    this.#sending = {};
    for (const stage of SENDING_STAGES) {
      const ms = stats.latency_ms[stage]?.p50;
      if (ms !== undefined) this.#sending[stage] = ms;
    }
  }

  /**
   * A new connection: what was lost before belongs to the old one.
   * @param {OverlayMode} mode
   */
  reset(mode) {
    this.#mode = mode;
    this.#recent = [];
    this.#measured = [];
    this.#link = null;
    this.#lost = 0;
    this.#render();
  }

  #render() {
    const since = performance.now() - WINDOW_MS;
    this.#recent = this.#recent.filter(({ at }) => at >= since);
    this.#measured = this.#measured.filter(({ at }) => at >= since);
    const newest = this.#recent.at(-1)?.message;
    this.#root.classList.toggle("empty", !newest);
    if (!newest) return;
    setText(this.#people, peopleWords(newest.poses.length));
    setText(this.#size, `${newest.width}×${newest.height}`);
    const rate = this.#rate();
    setText(this.#fps, `${rate.toFixed(1)} fps`);
    setText(this.#dropped, t("{count} dropped", { count: newest.dropped }));
    const measured = this.#latencyShown();
    // Drawn here, the picture comes beside the landmarks, whose way is the longer one.
    const isAnnotated = this.#mode === "off";
    const sending = isAnnotated ? this.#sending : {};
    const link = this.#link && !isAnnotated ? { ...this.#link, play_ms: null } : this.#link;
    const stages = stagesOf(this.#means(), sending, link, measured?.ms ?? null);
    const sends = this.#link?.encode_ms != null;
    setText(this.#span, spanWords(measured?.from ?? null, sends, this.#mode));
    const latency_ms = measured?.ms ?? sumOf(stages);
    setText(this.#latency, `${Math.round(latency_ms)} ms`);
    this.#showTrends(rate, latency_ms);
    setText(this.#losses, t("{dropped} frames dropped, {lost} messages lost", {
      dropped: newest.dropped,
      lost: this.#lost,
    }));
    this.#bar.show(stages);
  }

  /**
   * @param {number} rate
   * @param {number} latency_ms
   */
  #showTrends(rate, latency_ms) {
    if (this.#recent.length < FULL_WINDOW) return; // a rate of two messages is a guess
    const now_ms = performance.now();
    this.#fpsTrend.add(rate, now_ms);
    this.#latencyTrend.add(latency_ms, now_ms);
    setText(this.#fpsRange, `${rangeWords(this.#fpsTrend)} fps`);
    setText(this.#latencyRange, `${rangeWords(this.#latencyTrend)} ms`);
  }

  #rate() {
    const first = this.#recent[0];
    const last = this.#recent.at(-1);
    if (!first || !last || first === last) return 0;
    return ((this.#recent.length - 1) * 1000) / (last.at - first.at);
  }

  /**
   * The middle of the last two seconds.
   * @returns {Latency | null}
   */
  #latencyShown() {
    const from = this.#measured.at(-1)?.latency.from;
    if (!from) return null;
    const alike = this.#measured.filter(({ latency }) => latency.from === from);
    return { from, ms: median(alike.map(({ latency }) => latency.ms)) };
  }

  /** Of each stage of the server, over the window. Means, since they add up as the stages do. */
  #means() {
    /** @type {Record<string, number>} */
    const means = {};
    for (const key of Object.keys(this.#recent.at(-1)?.message.latency_ms ?? {})) {
      const values = this.#recent.map(({ message }) => message.latency_ms[key] ?? 0);
      means[key] = values.reduce((sum, value) => sum + value, 0) / values.length;
    }
    return means;
  }
}

/** @param {Trend} trend */
function rangeWords({ range }) {
  return range ? `${Math.round(range.low)}–${Math.round(range.high)}` : "–";
}

/** @param {number} count */
export function peopleWords(count) {
  return count === 1 ? t("1 person") : t("{count} people", { count });
}
