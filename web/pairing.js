// The browser tells of a frame and shows it, but not in one step: a page that is busy is told of a
// frame when the video shows the next one already. Pictures and what is known of them are brought
// together by their media time. Pure.

const TOLERANCE_US = 500;
const INFOS_MAX = 16;
const PICTURES_MAX = 4;
const TRIES = 30;

/**
 * @template I what is known of a frame
 * @template P its picture
 */
export class FramePairing {
  /** @type {{time_us: number, info: I}[]} */
  #infos = [];
  /** @type {{time_us: number, picture: P}[]} */
  #pictures = [];
  #added = 0;
  #paired = 0;
  #toldBefore_us = Number.NaN;
  #standsStill = false; // Firefox: all its frames of a connection have the time 0

  /** Whether this browser gives pictures and infos the same times. */
  get #canPair() {
    return !this.#standsStill && (this.#paired > 0 || this.#added <= TRIES);
  }

  /**
   * Both of one callback; they belong together unless the page was late.
   * @param {{time_us: number, info: I}} told
   * @param {{time_us: number | null, picture: P}} seen null: this browser gives pictures no time
   * @param {boolean} isLate
   * @returns {{pairs: {info: I | null, picture: P}[], unused: P[]}} in the order of time; info is
   *   null for a picture of which nothing is certain
   */
  add(told, { time_us, picture }, isLate) {
    this.#added += 1;
    this.#standsStill ||= told.time_us === this.#toldBefore_us;
    this.#toldBefore_us = told.time_us;
    if (time_us === null || !this.#canPair) {
      return { pairs: [{ info: isLate ? null : told.info, picture }], unused: [] };
    }
    /** @type {P[]} */
    const unused = [];
    this.#infos.push(told);
    if (this.#infos.length > INFOS_MAX) this.#infos.shift();
    if (this.#pictures.some((each) => isSame(each.time_us, time_us))) unused.push(picture);
    else this.#pictures.push({ time_us, picture });
    const pairs = this.#match(unused);
    while (this.#pictures.length > PICTURES_MAX) {
      const oldest = this.#pictures.shift();
      if (oldest) unused.push(oldest.picture);
    }
    return { pairs, unused };
  }

  /** @returns {P[]} the pictures that waited */
  clear() {
    this.#infos = [];
    return this.#pictures.splice(0).map(({ picture }) => picture);
  }

  /** @param {P[]} unused gets the pictures that were overtaken */
  #match(unused) {
    /** @type {{info: I, picture: P}[]} */
    const pairs = [];
    for (;;) {
      const at = this.#pictures.findIndex((each) => this.#infoAt(each.time_us) >= 0);
      const found = this.#pictures[at];
      if (!found) return pairs;
      const [told] = this.#infos.splice(0, this.#infoAt(found.time_us) + 1).slice(-1);
      unused.push(...this.#pictures.splice(0, at + 1).slice(0, -1).map((each) => each.picture));
      if (told) pairs.push({ info: told.info, picture: found.picture });
      this.#paired += 1;
    }
  }

  /** @param {number} time_us */
  #infoAt(time_us) {
    return this.#infos.findIndex((each) => isSame(each.time_us, time_us));
  }
}

/**
 * @param {number} a
 * @param {number} b
 */
function isSame(a, b) {
  return Math.abs(a - b) <= TOLERANCE_US;
}
