// Which moment a frame shows: the clocks of the stream, of the video's packets, of the camera and of
// the server, brought together. Pure: every reading of a clock comes in from outside.

/** @typedef {import("./landmarks.js").ClockMessage} ClockMessage */
/**
 * How long a frame on display took. `capture`: from the camera's shutter; `arrival`: from its arrival
 * at the server.
 * @typedef {{ms: number, from: "capture" | "arrival"}} Latency
 */
/**
 * A frame on display.
 * @typedef {object} ShownFrame
 * @property {number} shown_ms when, on performance.now()'s scale
 * @property {number | null} pts
 * @property {number | null} captured_ms on performance.now()'s scale; of a camera of this computer
 * @property {{epoch: number, received_at: number} | null} message of this frame
 * @property {number} epoch the newest that is known
 */

export const TICKS_PER_MS = 90;
const RTP_RANGE = 2 ** 32;
const OFFSETS_KEPT = 12; // one about every 5 s: a minute, in which clocks drift by a few ms at most
const REPORTS_KEPT = 8; // one about every second; each is rounded to a millisecond twice

/** One for each connection. */
export class StreamClock {
  /** @type {number | null} the RTP time of the video that comes at which pts is 0 */
  rtpOrigin = null;
  /** @type {number | null} to which the camera's clock below belongs */
  epoch = null;

  #timeOrigin_ms;
  /** @type {number[]} this computer's clock at a message's arrival less the server's at sending, ms */
  #offsets = [];
  /** @type {number | null} the quickest of the connection; others had to wait somewhere */
  #roundTrip_ms = null;
  /** @type {number[]} when pts was 0, on performance.now()'s scale */
  #starts = [];

  /** @param {number} timeOrigin_ms performance.timeOrigin: Unix ms at which performance.now() was 0 */
  constructor(timeOrigin_ms) {
    this.#timeOrigin_ms = timeOrigin_ms;
  }

  /**
   * @param {ClockMessage} message
   * @param {number} now_ms performance.now() at its arrival
   */
  note({ t, rtp_origin, epoch, ntp, pts }, now_ms) {
    if (rtp_origin !== undefined) this.rtpOrigin = rtp_origin;
    if (epoch !== undefined && ntp !== undefined && pts !== undefined) {
      if (epoch !== this.epoch) this.#starts = [];
      this.epoch = epoch;
      push(this.#starts, ntp * 1000 - this.#timeOrigin_ms - pts / TICKS_PER_MS, REPORTS_KEPT);
    }
    push(this.#offsets, this.#timeOrigin_ms + now_ms - t * 1000, OFFSETS_KEPT);
  }

  /** @param {number} roundTrip_ms to the server and back */
  noteRoundTrip(roundTrip_ms) {
    this.#roundTrip_ms = Math.min(this.#roundTrip_ms ?? roundTrip_ms, roundTrip_ms);
  }

  /** Of this computer's clock to the server's: a message may come late, but never early. */
  get offset_ms() {
    if (this.#offsets.length === 0) return null;
    return Math.min(...this.#offsets) - (this.#roundTrip_ms ?? 0) / 2;
  }

  /**
   * The stream's time of a frame that came as video.
   * @param {number | null} rtpTimestamp of its packets; 32 bits, so it runs over every 13 hours
   * @param {number} near a pts of about the same time
   * @returns {number | null}
   */
  ptsOfPacket(rtpTimestamp, near) {
    if (this.rtpOrigin === null || rtpTimestamp === null) return null;
    const ahead = modulo(rtpTimestamp - this.rtpOrigin - near, RTP_RANGE);
    return near + (ahead < RTP_RANGE / 2 ? ahead : ahead - RTP_RANGE);
  }

  /**
   * The stream's time of a frame of this computer's camera.
   * @param {number} captured_ms on performance.now()'s scale
   * @param {number} epoch of the messages that it is to be compared with
   * @returns {number | null}
   */
  ptsOfCapture(captured_ms, epoch) {
    const start_ms = this.#start_ms(epoch);
    return start_ms === null ? null : Math.round((captured_ms - start_ms) * TICKS_PER_MS);
  }

  /**
   * How long the frame on display took, or null while the clocks don't tell.
   * @param {ShownFrame} frame
   * @returns {Latency | null}
   */
  latencyOf({ shown_ms, pts, captured_ms, message, epoch }) {
    const start_ms = this.#start_ms(message?.epoch ?? epoch);
    if (captured_ms !== null) return since(captured_ms, shown_ms, "capture");
    if (pts !== null && start_ms !== null) {
      return since(start_ms + pts / TICKS_PER_MS, shown_ms, "capture");
    }
    const offset_ms = this.offset_ms;
    if (!message || offset_ms === null) return null;
    const arrived_ms = message.received_at * 1000 + offset_ms - this.#timeOrigin_ms;
    return since(arrived_ms, shown_ms, "arrival");
  }

  /** @param {number} epoch */
  #start_ms(epoch) {
    return epoch === this.epoch && this.#starts.length > 0 ? median(this.#starts) : null;
  }
}

/**
 * @param {number} from_ms
 * @param {number} to_ms
 * @param {Latency["from"]} from
 * @returns {Latency}
 */
function since(from_ms, to_ms, from) {
  return { ms: Math.max(0, to_ms - from_ms), from };
}

/**
 * @param {number[]} values
 * @param {number} value
 * @param {number} limit the oldest give way
 */
function push(values, value, limit) {
  values.push(value);
  if (values.length > limit) values.shift();
}

/** @param {number[]} values at least one */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/**
 * @param {number} value
 * @param {number} divisor
 */
function modulo(value, divisor) {
  return ((value % divisor) + divisor) % divisor;
}
