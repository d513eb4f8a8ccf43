// The two kinds of peer: one that watches, and one that brings a camera.

import { Problem } from "./api.js";
import { LivePeer } from "./connection.js";
import { t } from "./i18n.js";
import { HTTP } from "./retry.js";

/** @typedef {import("./connection.js").PeerEvents} PeerEvents */

/** How long the server keeps a stream for a publisher that lost its connection. */
const RESUME_WINDOW_MS = 10_000;

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
    if (this.video !== "none") connection.addTransceiver("video", { direction: "recvonly" });
  }
}

/** Sends a camera and gets it back, annotated or plain, or its landmarks alone. */
export class WebcamPeer extends LivePeer {
  /** @type {MediaStream} */
  #camera;

  /**
   * @param {MediaStream} camera
   * @param {PeerEvents} events
   */
  constructor(camera, events) {
    super(events);
    this.#camera = camera;
  }

  /** @override */
  get path() {
    return this.streamId ? `/webcam/${encodeURIComponent(this.streamId)}` : "/webcam";
  }

  /**
   * @override
   * @param {RTCPeerConnection} connection
   */
  addMedia(connection) {
    const [track] = this.#camera.getVideoTracks();
    if (!track) throw new Error(t("The camera gives no video."));
    const direction = this.video === "none" ? "sendonly" : "sendrecv";
    connection.addTransceiver(track, { direction, streams: [this.#camera] });
  }

  /**
   * The stream keeps its id while the server knows it; a taken one may be our own of a moment ago.
   * @override
   * @param {unknown} loss
   * @param {number} away_ms
   */
  adapts(loss, away_ms) {
    if (!(loss instanceof Problem) || !this.streamId) return false;
    const isTaken = loss.status === HTTP.CONFLICT && away_ms > RESUME_WINDOW_MS;
    if (loss.status !== HTTP.NOT_FOUND && !isTaken) return false;
    this.forgetStream();
    return true;
  }

  /**
   * Another camera or size, without a new connection.
   * @param {MediaStream} camera
   */
  async replaceCamera(camera) {
    this.#camera = camera;
    const sender = this.connection?.getSenders().find((each) => each.track?.kind === "video");
    await sender?.replaceTrack(camera.getVideoTracks()[0] ?? null);
  }
}
