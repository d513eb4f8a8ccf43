// A page's peer: it offers, plays what comes back, and does not give up when the server goes away.

import { kindOf, Problem, request, requestJson, streamPath } from "./api.js";
import { pathOf } from "./base.js";
import { BINARY_PROTOCOL, parseMessage } from "./landmarks.js";
import { connected, gathered, untilLost } from "./link.js";
import { HTTP, sleep, statusAfter } from "./retry.js";
import { statusOf, streamStatus } from "./words.js";

/** @typedef {import("./words.js").Status} Status */
/** @typedef {import("./api.js").StreamInfo} StreamInfo */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./landmarks.js").ClockMessage} ClockMessage */
/** @typedef {import("./landmarks.js").ModelMessage} ModelMessage */
/** @typedef {import("./modes.js").VideoMode} VideoMode */
/**
 * @typedef {object} PeerEvents
 * @property {(status: Status) => void} onStatus
 * @property {() => void} [onAttempt] a new connection: what was known of the old one's times is void
 * @property {() => void} [onConnected]
 * @property {(media: MediaStream) => void} onMedia
 * @property {() => void} [onLoss] the last moment to hold the last picture
 * @property {(message: PoseMessage) => void} [onPose] asks for the `landmarks` channel
 * @property {(message: ClockMessage) => void} [onClock]
 * @property {(message: ModelMessage) => void} [onModel]
 * @property {(info: StreamInfo) => void} [onInfo] asks for the stream's figures every few seconds
 * @property {(stats: import("./link.js").LinkStats) => void} [onStats]
 */

const INFO_INTERVAL_MS = 3_000;
/** So often a server that said goodbye is looked for before it counts as gone: about half a minute. */
const RESTART_ATTEMPTS = 12;
const NOBODY_AFTER_MS = 1_000;
const SWITCH_MS = 5_000;
const SWITCH_RETRY_MS = 150;

/** What every peer shares (peers.js has the kinds): the life of its connection, in one loop. */
export class LivePeer {
  /** @type {RTCPeerConnection | null} */
  connection = null;
  streamId = "";
  status = statusOf("idle");
  /** @type {VideoMode} of the next connection */
  video = "annotated";

  #events;
  /** @type {AbortController | null} */
  #life = null;
  #location = "";
  #link = statusOf("idle");
  #stream = statusOf("connecting");
  #pictures = false;
  #lastPersonAt = 0;
  #lostAt = 0;
  #switchedAt = -Infinity;

  /** @param {PeerEvents} events */
  constructor(events) {
    this.#events = events;
  }

  /** Connects and stays connected until `stop`. */
  start() {
    this.stop();
    this.#life = new AbortController();
    const { signal } = this.#life;
    addEventListener("pagehide", () => this.stop(), { signal });
    void this.#run(signal);
  }

  /** Ends the peer here and on the server; twice is safe. */
  stop() {
    this.#life?.abort();
    this.#life = null;
    const peer = this.#location;
    this.#location = "";
    // A server that is gone, or that has ended the peer itself, needs no goodbye.
    if (peer) request("DELETE", peer, { keepalive: true }).catch(() => {});
    this.#setLink(statusOf("idle"));
  }

  /**
   * Another kind of video, which takes a new connection.
   * @param {VideoMode} video
   */
  switchVideo(video) {
    this.video = video;
    if (!this.#life) return;
    // The closed connection is goodbye enough; a publisher's own would end the stream for everybody.
    this.#location = "";
    this.#switchedAt = performance.now();
    this.start();
  }

  /**
   * News of the stream that came another way than the channel, whose messages may be lost.
   * @param {StreamInfo} info
   */
  note({ state, detail, retry_in_s, attempt, last_error, people }) {
    const report = { detail, kind: kindOf(last_error?.type), retry_in_s, attempt };
    const comes = state === "live" && !last_error;
    this.#setStream(comes ? this.#live(people ?? 0) : streamStatus(state, report));
  }

  /**
   * Where to send the offer.
   * @protected
   * @returns {string}
   */
  get path() {
    throw new Error("each kind of peer has its own address");
  }

  /**
   * @protected
   * @param {RTCPeerConnection} _connection
   */
  addMedia(_connection) {
    throw new Error("each kind of peer adds its own media");
  }

  /**
   * Whether the next attempt goes another way, and so at once. `away_ms`: since the loss.
   * @protected
   * @param {unknown} _loss
   * @param {number} _away_ms
   */
  adapts(_loss, _away_ms) {
    return false;
  }

  /**
   * The next offer is for a new stream.
   * @protected
   */
  forgetStream() {
    this.streamId = "";
  }

  /** @param {AbortSignal} signal */
  async #run(signal) {
    let attempt = 0;
    this.#setLink(statusOf("connecting"));
    while (!signal.aborted) {
      const loss = await this.#attempt(signal, () => {
        attempt = 0;
      });
      if (signal.aborted) return;
      if (attempt === 0) this.#lostAt = performance.now();
      attempt += 1;
      if (this.adapts(loss, performance.now() - this.#lostAt)) continue;
      if (this.#isOurOldSelf(loss)) {
        await sleep(SWITCH_RETRY_MS, signal);
        continue;
      }
      const status = this.#stream.state === "ended" ? this.#stream : statusAfter(loss, attempt);
      const isExpected = this.#stream.kind === "shutting-down" && attempt <= RESTART_ATTEMPTS;
      this.#setLink(isExpected ? saidBefore(this.#stream, status) : status);
      if (status.retryAt === null) return;
      await sleep(status.retryAt - performance.now(), signal);
    }
  }

  /**
   * After a switch of the video, the server may not know yet that the connection before is closed.
   * @param {unknown} loss
   */
  #isOurOldSelf(loss) {
    const isFresh = performance.now() - this.#switchedAt < SWITCH_MS;
    return isFresh && loss instanceof Problem && loss.status === HTTP.CONFLICT;
  }

  /**
   * One connection, from the offer to its loss.
   * @param {AbortSignal} life
   * @param {() => void} onConnected
   * @returns {Promise<unknown>} what ended it
   */
  async #attempt(life, onConnected) {
    const over = new AbortController();
    const signal = AbortSignal.any([life, over.signal]);
    /** @type {RTCPeerConnection | null} */
    let connection = null;
    try {
      connection = new RTCPeerConnection(await requestJson("GET", "/api/v1/ice", { signal }));
      this.connection = connection;
      const channel = this.#prepare(connection);
      const loss = untilLost(connection, channel, (it) => this.#events.onStats?.(it), signal);
      await Promise.race([loss, this.#negotiate(connection, signal)]);
      onConnected();
      this.#events.onConnected?.();
      this.#setLink(statusOf("live"));
      return await Promise.race([loss, this.#watchInfo(signal)]);
    } catch (error) {
      return error;
    } finally {
      over.abort();
      connection?.close();
      if (this.connection === connection) {
        this.#events.onLoss?.();
        this.connection = null;
      }
    }
  }

  /** @param {RTCPeerConnection} connection */
  #prepare(connection) {
    this.#pictures = this.video === "none"; // then there are none to wait for
    this.#events.onAttempt?.();
    if (this.#events.onPose) this.#stream = statusOf("connecting"); // the channel will tell
    connection.addEventListener("track", ({ track, receiver }) => {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      track.addEventListener("unmute", () => {
        this.#pictures = true;
        this.#events.onMedia(new MediaStream([track]));
        this.#update();
      });
    });
    this.addMedia(connection);
    if (!this.#events.onPose) return null;
    const channel = connection.createDataChannel("landmarks", {
      ordered: false,
      maxRetransmits: 0,
      protocol: BINARY_PROTOCOL,
    });
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => this.#onMessage(channel, data));
    return channel;
  }

  /**
   * @param {RTCPeerConnection} connection
   * @param {AbortSignal} signal
   */
  async #negotiate(connection, signal) {
    await connection.setLocalDescription();
    await gathered(connection);
    const sdp = connection.localDescription?.sdp ?? "";
    const query = this.video === "annotated" ? "" : `?video=${this.video}`;
    const response = await request("POST", this.path + query, { sdp, signal });
    this.#location = pathOf(response.headers.get("Location") ?? "");
    this.streamId = response.headers.get("X-Stream-Id") ?? this.streamId;
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await connected(connection);
  }

  /**
   * Never resolves before the signal.
   * @param {AbortSignal} signal
   */
  async #watchInfo(signal) {
    while (!signal.aborted) {
      if (this.#events.onInfo && !document.hidden) {
        const info = await requestJson("GET", streamPath(this.streamId), { signal });
        this.note(info);
        this.#events.onInfo(info);
      }
      await sleep(INFO_INTERVAL_MS, signal);
    }
  }

  /**
   * @param {RTCDataChannel} channel
   * @param {unknown} data
   */
  #onMessage(channel, data) {
    const message = parseMessage(data, this.streamId);
    if (message?.type === "ping" && channel.readyState === "open") {
      channel.send(JSON.stringify({ type: "pong", v: 1, t: message.t }));
    } else if (message?.type === "state") {
      const { state, detail, error: kind = "", retry_in_s = null, attempt = 0 } = message;
      this.#setStream(streamStatus(state, { detail, kind, retry_in_s, attempt }));
    } else if (message?.type === "pose") {
      this.#setStream(this.#live(message.poses.length));
      this.#events.onPose?.(message);
    } else if (message?.type === "clock") {
      this.#events.onClock?.(message);
    } else if (message?.type === "model") {
      this.#events.onModel?.(message);
    }
  }

  /**
   * Nobody is there once nobody was seen for a while: one missed frame makes no state.
   * @param {number} people
   */
  #live(people) {
    if (people > 0 || !showsPictures(this.#stream)) this.#lastPersonAt = performance.now();
    const isEmpty = performance.now() - this.#lastPersonAt > NOBODY_AFTER_MS;
    return statusOf(isEmpty ? "nobody" : "live");
  }

  /** @param {Status} status */
  #setStream(status) {
    const knowsMore = status.state === "live" && this.#stream.state === "nobody";
    this.#stream = knowsMore ? this.#live(0) : status;
    this.#update();
  }

  /** @param {Status} status */
  #setLink(status) {
    this.#link = status;
    this.#update();
  }

  /** The only place where the status changes. */
  #update() {
    const shown = this.#link.state === "live" ? this.#stream : this.#link;
    const waits = showsPictures(shown) && !this.#pictures;
    const next = waits ? statusOf("connecting") : shown;
    const { state, words, retryAt } = this.status;
    if (next.state === state && next.words === words && next.retryAt === retryAt) return;
    this.status = next;
    this.#events.onStatus(next);
  }
}

/**
 * The server said why before it went: that is better than what the loss looks like.
 * @param {Status} goodbye
 * @param {Status} status
 * @returns {Status}
 */
function saidBefore({ words, detail, kind }, status) {
  return status.state === "reconnecting" ? { ...status, words, detail, kind } : status;
}

/** @param {Status} status */
function showsPictures({ state }) {
  return state === "live" || state === "nobody";
}
