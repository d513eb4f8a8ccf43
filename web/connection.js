// A page's peer: it offers, plays what comes back, and does not give up when the server goes away.

import { kindOf, Problem, request, requestJson, ServerGone, streamPath } from "./api.js";
import { parseMessage } from "./landmarks.js";
import { connected, gathered, LinkLost, untilLost } from "./link.js";
import { statusOf, streamStatus } from "./words.js";

/** @typedef {import("./words.js").Status} Status */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./api.js").StreamInfo} StreamInfo */
/**
 * @typedef {object} PeerEvents
 * @property {(status: Status) => void} onStatus
 * @property {(media: MediaStream) => void} onMedia
 * @property {(message: PoseMessage) => void} [onPose] asks for the `landmarks` channel
 * @property {(info: StreamInfo) => void} [onInfo] asks for the stream's figures every few seconds
 * @property {(stats: import("./link.js").LinkStats) => void} [onStats]
 */

const FIRST_RETRY_MS = 500;
const RETRY_CAP_MS = 5_000;
const RETRY_JITTER = 0.2;
const RESUME_WINDOW_MS = 10_000;
const INFO_INTERVAL_MS = 3_000;
const NOBODY_AFTER_MS = 1_000;
const HTTP = { NOT_FOUND: 404, CONFLICT: 409, TOO_MANY: 429, UNAVAILABLE: 503, SERVER_ERROR: 500 };

/** What the two kinds of peer share: the life of the connection, in one loop. */
class LivePeer {
  /** @type {RTCPeerConnection | null} */
  connection = null;
  streamId = "";
  status = statusOf("idle");

  #events;
  /** @type {AbortController | null} */
  #life = null;
  #location = "";
  #link = statusOf("idle");
  #stream = statusOf("live");
  #pictures = false;
  #lastPersonAt = 0;
  #wake = () => {};

  /** @param {PeerEvents} events */
  constructor(events) {
    this.#events = events;
    addEventListener("online", () => this.#wake());
    addEventListener("pagehide", () => this.stop());
  }

  /** Connects and stays connected until `stop`. */
  start() {
    this.stop();
    this.#life = new AbortController();
    void this.#run(this.#life.signal);
  }

  /** Ends the peer here and on the server; twice is safe. */
  stop() {
    this.#life?.abort();
    this.#life = null;
    const peer = this.#location;
    this.#location = "";
    // A server that is gone, or has ended the peer itself, needs no goodbye.
    if (peer) request("DELETE", peer, { keepalive: true }).catch(() => {});
    this.#setLink(statusOf("idle"));
  }

  /**
   * News of the stream from elsewhere than the channel, whose messages may be lost.
   * @param {StreamInfo} info
   */
  note(info) {
    const kind = kindOf(info.last_error?.type);
    const { detail, retry_in_s, attempt } = info;
    this.#setStream(streamStatus(info.state, { detail, kind, retry_in_s, attempt }));
  }

  /**
   * @protected
   * @param {RTCPeerConnection} _connection
   */
  addMedia(_connection) {
    throw new Error("each kind of peer adds its own media");
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
   * Called for an answer of the server that was no success; may change what the next attempt does.
   * @protected
   * @param {Problem} _problem
   * @returns {boolean} whether to try again at once
   */
  adapts(_problem) {
    return false;
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
      attempt += 1;
      const status = statusAfter(loss, attempt);
      if (status.retryAt === null) {
        if (!(loss instanceof Problem)) console.error(loss);
        this.#setLink(status);
        return;
      }
      if (loss instanceof Problem && this.adapts(loss)) continue;
      this.#setLink(status);
      await this.#sleep(status.retryAt - performance.now());
    }
  }

  /**
   * One connection, from the offer to its loss.
   * @param {AbortSignal} life
   * @param {() => void} onLive
   * @returns {Promise<unknown>} what ended it
   */
  async #attempt(life, onLive) {
    const over = new AbortController();
    const signal = AbortSignal.any([life, over.signal]);
    try {
      const connection = new RTCPeerConnection(await requestJson("GET", "/api/v1/ice", { signal }));
      this.connection = connection;
      const loss = untilLost(
        connection,
        this.#prepare(connection),
        (stats) => this.#events.onStats?.(stats),
        signal,
      );
      await Promise.race([loss, this.#negotiate(connection, signal)]);
      onLive();
      this.#setLink(statusOf("live"));
      await Promise.race([loss, this.#watchInfo(signal)]);
      return null;
    } catch (error) {
      return error;
    } finally {
      over.abort();
      this.connection?.close();
      this.connection = null;
    }
  }

  /** @param {RTCPeerConnection} connection */
  #prepare(connection) {
    this.#pictures = false;
    this.#stream = statusOf("live");
    connection.addEventListener("track", ({ track, receiver, streams }) => {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = 0;
      track.addEventListener("unmute", () => {
        this.#pictures = true;
        this.#events.onMedia(streams[0] ?? new MediaStream([track]));
        this.#update();
      });
    });
    this.addMedia(connection);
    if (!this.#events.onPose) return null;
    const channel = connection.createDataChannel("landmarks", {
      ordered: false,
      maxRetransmits: 0,
    });
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
    const response = await request("POST", this.path, { sdp, signal });
    this.#location = response.headers.get("Location") ?? "";
    this.streamId = response.headers.get("X-Stream-Id") ?? this.streamId;
    await connection.setRemoteDescription({ type: "answer", sdp: await response.text() });
    await connected(connection);
  }

  /** @param {AbortSignal} signal */
  async #watchInfo(signal) {
    for (;;) {
      if (this.#events.onInfo && !document.hidden) {
        const info = await requestJson("GET", streamPath(this.streamId), { signal });
        this.note(info);
        this.#events.onInfo(info);
      }
      await new Promise((resolve) => setTimeout(resolve, INFO_INTERVAL_MS));
    }
  }

  /**
   * @param {RTCDataChannel} channel
   * @param {unknown} data
   */
  #onMessage(channel, data) {
    const message = parseMessage(data);
    if (message?.type === "ping" && channel.readyState === "open") {
      channel.send(JSON.stringify({ type: "pong", v: 1, t: message.t }));
    } else if (message?.type === "state") {
      const { state, detail, error: kind = "", retry_in_s = null, attempt = 0 } = message;
      this.#setStream(streamStatus(state, { detail, kind, retry_in_s, attempt }));
    } else if (message?.type === "pose") {
      if (message.poses.length > 0) this.#lastPersonAt = performance.now();
      this.#setStream(statusOf(this.#isEmpty() ? "nobody" : "live"));
      this.#events.onPose?.(message);
    }
  }

  #isEmpty() {
    return performance.now() - this.#lastPersonAt > NOBODY_AFTER_MS;
  }

  /** @param {Status} status */
  #setStream(status) {
    const knowsMore = status.state === "live" && this.#stream.state === "nobody" && this.#isEmpty();
    if (!knowsMore) this.#stream = status;
    this.#update();
  }

  /** @param {Status} status */
  #setLink(status) {
    this.#link = status;
    this.#update();
  }

  /** The only place where the status changes. */
  #update() {
    let next = this.#link;
    if (next.state === "live") {
      next = this.#stream;
      const shows = next.state === "live" || next.state === "nobody";
      if (shows && !this.#pictures) next = statusOf("connecting");
    }
    if (isSame(next, this.status)) return;
    this.status = next;
    this.#events.onStatus(next);
  }

  /** @param {number} delay_ms */
  #sleep(delay_ms) {
    return new Promise((resolve) => {
      this.#wake = () => resolve(undefined);
      this.#life?.signal.addEventListener("abort", this.#wake);
      setTimeout(this.#wake, delay_ms);
    });
  }
}

/** Watches a stream (WHEP). */
export class ViewerPeer extends LivePeer {
  /**
   * @param {string} streamId
   * @param {PeerEvents} events
   */
  constructor(streamId, events) {
    super(events);
    this.streamId = streamId;
  }

  /** @override */
  get path() {
    return `/whep/${encodeURIComponent(this.streamId)}`;
  }

  /**
   * @override
   * @param {RTCPeerConnection} connection
   */
  addMedia(connection) {
    connection.addTransceiver("video", { direction: "recvonly" });
  }
}

/** Sends a camera and gets it back annotated. */
export class WebcamPeer extends LivePeer {
  /** @type {MediaStream} */
  #camera;
  #resumeUntil = 0;

  /**
   * @param {MediaStream} camera
   * @param {PeerEvents} events
   */
  constructor(camera, events) {
    super({
      ...events,
      onStatus: (status) => {
        if (status.ours && status.attempt === 1) {
          this.#resumeUntil = performance.now() + RESUME_WINDOW_MS;
        }
        events.onStatus(status);
      },
    });
    this.#camera = camera;
  }

  /** @override */
  get path() {
    return this.streamId ? `/webcam/${encodeURIComponent(this.streamId)}` : "/webcam";
  }

  /**
   * The stream's id is kept while the server may still know it; after that it becomes a new stream.
   * @override
   * @param {Problem} problem
   */
  adapts({ status }) {
    const isForgotten = status === HTTP.NOT_FOUND;
    const isTaken = status === HTTP.CONFLICT && performance.now() > this.#resumeUntil;
    if (!isForgotten && !isTaken) return false;
    this.streamId = "";
    return true;
  }

  /**
   * @override
   * @param {RTCPeerConnection} connection
   */
  addMedia(connection) {
    const [track] = this.#camera.getVideoTracks();
    if (!track) throw new Error("the camera gives no video");
    connection.addTransceiver(track, { direction: "sendrecv", streams: [this.#camera] });
  }

  /**
   * Another camera or size, without a new connection.
   * @param {MediaStream} camera
   */
  async replaceCamera(camera) {
    this.#camera = camera;
    const [track] = camera.getVideoTracks();
    const sender = this.connection?.getSenders().find((each) => each.track?.kind === "video");
    await sender?.replaceTrack(track ?? null);
  }
}

/**
 * What a failed attempt means: try again then, or leave it (retryAt is null).
 * @param {unknown} error
 * @param {number} attempt counts from 1
 * @returns {Status}
 */
function statusAfter(error, attempt) {
  const delay_ms = Math.min(RETRY_CAP_MS, FIRST_RETRY_MS * 2 ** (attempt - 1));
  const spread = 1 + RETRY_JITTER * (Math.random() * 2 - 1);
  const retryAt = performance.now() + delay_ms * spread;
  const detail = error instanceof Error ? error.message : String(error);
  const trouble = { detail, ours: true, attempt };
  if (error instanceof ServerGone) {
    return statusOf("reconnecting", { ...trouble, words: "server gone", retryAt });
  }
  if (error instanceof LinkLost) {
    const words = error.reason === "lost" ? "connection lost" : "video blocked";
    return statusOf("reconnecting", { ...trouble, words, retryAt });
  }
  if (!(error instanceof Problem)) return statusOf("failed", trouble);
  return statusAfterProblem(error, { ...trouble, kind: error.kind }, retryAt);
}

/**
 * @param {Problem} problem
 * @param {Partial<Status>} trouble
 * @param {number} retryAt
 */
function statusAfterProblem({ status, retryAfter_s }, trouble, retryAt) {
  if (status === HTTP.UNAVAILABLE || status === HTTP.TOO_MANY) {
    const later = Math.max(retryAt, performance.now() + (retryAfter_s ?? 0) * 1000);
    return statusOf("reconnecting", { ...trouble, words: "server full", retryAt: later });
  }
  if (status >= HTTP.SERVER_ERROR || status === HTTP.CONFLICT) {
    return statusOf("reconnecting", { ...trouble, words: "server in trouble", retryAt });
  }
  if (status === HTTP.NOT_FOUND) return statusOf("ended", { ...trouble, words: "no such stream" });
  return statusOf("failed", trouble);
}

/**
 * @param {Status} a
 * @param {Status} b
 */
function isSame(a, b) {
  return a.state === b.state && a.words === b.words && a.retryAt === b.retryAt;
}
