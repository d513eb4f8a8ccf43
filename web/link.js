// One peer connection from its offer until it is lost: gathering, connecting, and noticing the end.

import { t } from "./i18n.js";

const GATHERING_TIMEOUT_MS = 1_000;
const RELAY_GATHERING_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;
// A network that is gone for 5 s and comes back breaks no connection; Chromium says "disconnected" after
// 2.5 s or more of silence. A server that has died is noticed sooner, by the next request to it.
const DISCONNECTED_TIMEOUT_MS = 7_000;
const SILENCE_TIMEOUT_MS = 7_000;
const STATS_INTERVAL_MS = 1_000;

/**
 * What the browser knows of the way between the camera, the server and the screen.
 * @typedef {object} LinkStats
 * @property {number} received grows with everything that comes from the server
 * @property {number | null} roundTrip_ms
 * @property {number | null} encode_ms a camera frame, here
 * @property {number | null} play_ms waiting and decoding of a returned frame, here
 */

/** The connection worked and then did not any more, or never came about. */
export class LinkLost extends Error {
  /** @param {"lost" | "blocked"} reason */
  constructor(reason) {
    super(reason === "lost" ? t("The connection to the server broke.") : BLOCKED);
    this.name = "LinkLost";
    this.reason = reason;
  }
}

const BLOCKED = t(
  "The server answers, but its video does not get through. Does a firewall block UDP?",
);

/**
 * Resolves when all candidates are there. It does not wait for a silent STUN server: what has been
 * found by then is enough on most networks. Where only a relay will do, nothing works before it is found.
 * @param {RTCPeerConnection} connection
 * @returns {Promise<void>}
 */
export function gathered(connection) {
  return new Promise((resolve) => {
    if (connection.iceGatheringState === "complete") resolve();
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    });
    const needsRelay = connection.getConfiguration().iceTransportPolicy === "relay";
    setTimeout(resolve, needsRelay ? RELAY_GATHERING_TIMEOUT_MS : GATHERING_TIMEOUT_MS);
  });
}

/**
 * @param {RTCPeerConnection} connection
 * @returns {Promise<void>} rejects with LinkLost
 */
export function connected(connection) {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (connection.connectionState === "connected") resolve();
    };
    connection.addEventListener("connectionstatechange", look);
    look();
    setTimeout(() => reject(new LinkLost("blocked")), CONNECT_TIMEOUT_MS);
  });
}

/**
 * Rejects with LinkLost when the connection is lost, or with the signal's reason. Never resolves.
 * @param {RTCPeerConnection} connection
 * @param {RTCDataChannel | null} channel
 * @param {(stats: LinkStats) => void} onStats about once a second
 * @param {AbortSignal} signal ends the watch
 * @returns {Promise<never>}
 */
export function untilLost(connection, channel, onStats, signal) {
  return new Promise((_, reject) => {
    const lost = () => reject(new LinkLost("lost"));
    let disconnected = 0;
    let worked = false;
    connection.addEventListener("connectionstatechange", () => {
      const state = connection.connectionState;
      clearTimeout(disconnected);
      if (state === "connected") worked = true;
      if (state === "failed") reject(new LinkLost(worked ? "lost" : "blocked"));
      if (state === "closed") lost();
      if (state === "disconnected") disconnected = setTimeout(lost, DISCONNECTED_TIMEOUT_MS);
    });
    channel?.addEventListener("close", lost);
    const timer = setInterval(watchStats(connection, onStats, lost), STATS_INTERVAL_MS);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      clearTimeout(disconnected);
      reject(signal.reason);
    });
  });
}

/**
 * @param {RTCPeerConnection} connection
 * @param {(stats: LinkStats) => void} onStats
 * @param {() => void} onSilence
 */
function watchStats(connection, onStats, onSilence) {
  let received = 0;
  let heardAt = performance.now();
  const read = statsReader(connection);
  return async () => {
    const stats = await read();
    const now = performance.now();
    if (stats.received !== received) [received, heardAt] = [stats.received, now];
    if (received > 0 && now - heardAt > SILENCE_TIMEOUT_MS) onSilence();
    onStats(stats);
  };
}

/**
 * @param {RTCPeerConnection} connection
 * @returns {() => Promise<LinkStats>} averages are over the time since the call before
 */
function statsReader(connection) {
  const average_ms = averager();
  return async () => {
    /** @type {LinkStats} */
    const stats = { received: 0, roundTrip_ms: null, encode_ms: null, play_ms: null };
    for (const report of (await connection.getStats()).values()) {
      if (report.type === "candidate-pair" && report.state === "succeeded") {
        stats.received += (report.bytesReceived ?? 0) + (report.responsesReceived ?? 0);
        if (report.nominated && report.currentRoundTripTime !== undefined) {
          stats.roundTrip_ms = report.currentRoundTripTime * 1000;
        }
      } else if (report.type === "inbound-rtp" && report.kind === "video") {
        const wait = average_ms("wait", report.jitterBufferDelay, report.jitterBufferEmittedCount);
        const decode = average_ms("decode", report.totalDecodeTime, report.framesDecoded);
        if (wait !== null && decode !== null) stats.play_ms = wait + decode;
      } else if (report.type === "outbound-rtp" && report.kind === "video") {
        stats.encode_ms = average_ms("encode", report.totalEncodeTime, report.framesEncoded);
      }
    }
    return stats;
  };
}

/** Turns ever-growing (seconds, count) pairs into milliseconds for each of the newest. */
function averager() {
  /** @type {Map<string, {seconds: number, count: number}>} */
  const before = new Map();
  /**
   * @param {string} name
   * @param {number | undefined} seconds
   * @param {number | undefined} count
   */
  return (name, seconds, count) => {
    if (seconds === undefined || count === undefined) return null;
    const last = before.get(name) ?? { seconds: 0, count: 0 };
    before.set(name, { seconds, count });
    return count > last.count ? ((seconds - last.seconds) * 1000) / (count - last.count) : null;
  };
}
