// How long a browser should hold video back so that landmarks are there before their frame is shown:
// they take the server's estimate longer. Without it a skeleton appears late on each frame, and
// blinks. Pure.

const INTERVAL_MS = 1_000;
const SAMPLES_MIN = 10;
const SHARE_IN_TIME = 0.95;
const SPARE_MS = 4;
const STEP_DOWN_MS = 5;
const STEP_MIN_MS = 2;
const DELAY_MAX_MS = 150;

/** Collects how late messages were (negative: early), and says what delay would have been enough. */
export class PlayoutDelay {
  delay_ms = 0;
  /** @type {number[]} */
  #lateness_ms = [];
  #changedAt_ms = 0;

  /** @param {number} now_ms */
  clear(now_ms) {
    this.delay_ms = 0;
    this.#lateness_ms = [];
    this.#changedAt_ms = now_ms;
  }

  /**
   * @param {number} lateness_ms the message's arrival less its frame's display
   * @param {number} now_ms
   * @returns {boolean} whether `delay_ms` has changed
   */
  note(lateness_ms, now_ms) {
    this.#lateness_ms.push(lateness_ms);
    const isSoon = now_ms - this.#changedAt_ms < INTERVAL_MS;
    if (isSoon || this.#lateness_ms.length < SAMPLES_MIN) return false;
    const sorted = this.#lateness_ms.sort((a, b) => a - b);
    const typical = sorted[Math.floor((sorted.length - 1) * SHARE_IN_TIME)] ?? 0;
    this.#lateness_ms = [];
    this.#changedAt_ms = now_ms;
    const wanted = this.delay_ms + typical + SPARE_MS;
    // Up at once, since it shows; down in small steps.
    const next = Math.max(wanted, this.delay_ms - STEP_DOWN_MS);
    const bounded = Math.round(Math.min(Math.max(next, 0), DELAY_MAX_MS));
    if (Math.abs(bounded - this.delay_ms) < STEP_MIN_MS) return false;
    this.delay_ms = bounded;
    return true;
  }
}
