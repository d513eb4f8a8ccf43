// The module for programs in a browser, at /client.js (typed in client.d.ts): a stream's landmarks as they
// come, and what one needs to read and draw them.
//
//   import { landmarks } from "/client.js";
//   for await (const frame of landmarks("door")) console.log(frame.seq, frame.poses[0]?.landmarks[0]);

import { BASE } from "./base.js";
import { BINARY_PROTOCOL, parseMessage } from "./landmarks.js";

export { anglesOf } from "./angles.js";
export {
  ANGLES, BINARY_PROTOCOL, CONNECTIONS, decodePose, LANDMARK_NAMES, MIN_VISIBILITY, parseMessage, sideOf,
} from "./landmarks.js";

/** @typedef {import("./landmarks.js").Landmark} Landmark */
/** @typedef {import("./landmarks.js").Pose} Pose */
/** @typedef {import("./landmarks.js").PoseMessage} PoseMessage */
/** @typedef {import("./landmarks.js").StateMessage} StateMessage */
/** @typedef {import("./landmarks.js").ModelMessage} ModelMessage */
/** @typedef {PoseMessage | StateMessage | ModelMessage} StreamMessage */
/**
 * @typedef {object} Options
 * @property {string | URL} [server] its address; default: where this module came from
 * @property {AbortSignal} [signal] ends it
 * @property {boolean} [reconnect] come back when the connection is lost; default: true
 * @property {string} [token] the server's access token, in a page of another origin (or without a cookie)
 */

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;
const MAX_WAITING = 32; // messages, about a second; then the oldest are dropped: a gap in seq
const STREAM_ENDED = 1000; // the close code: it will not come back
const ACCESS_ENDED = 1008; // the token is revoked or has expired

/**
 * The frames of a stream, until it ends.
 * @param {string} stream its id
 * @param {Options} [options]
 * @returns {AsyncGenerator<PoseMessage, void, void>}
 */
export async function* landmarks(stream, options) {
  for await (const message of messages(stream, options)) {
    if (message.type === "pose") yield message;
  }
}

/**
 * The frames of a stream and what becomes of it, until it ends. Throws as `allMessages` does.
 * @param {string} stream its id
 * @param {Options} [options]
 * @returns {AsyncGenerator<PoseMessage | StateMessage, void, void>}
 */
export async function* messages(stream, options) {
  for await (const message of allMessages(stream, options)) {
    if (message.type !== "model") yield message;
  }
}

/**
 * The frames of a stream, what becomes of it and which model runs, until it ends; later versions may add
 * messages of other types. Throws when it can't be had (the first connection fails), or is lost and
 * `reconnect` is off.
 * @param {string} stream its id
 * @param {Options} [options]
 * @returns {AsyncGenerator<StreamMessage, void, void>}
 */
export async function* allMessages(stream, { server, signal, reconnect = true, token = "" } = {}) {
  const base = new URL(server ?? new URL(BASE, import.meta.url));
  const path = `/api/v1/streams/${encodeURIComponent(stream)}/landmarks`;
  const at = (/** @type {string} */ own) => new URL(base.pathname.replace(/\/?$/, "") + own, base);
  const address = at(path);
  address.protocol = address.protocol.replace("http", "ws");
  let heard = false;
  for (let wait_ms = FIRST_RETRY_MS; ; wait_ms = Math.min(2 * wait_ms, MAX_RETRY_MS)) {
    if (token) await addTicket(address, at("/api/v1/tickets"), path, token, signal);
    const connection = new Connection(address, stream, signal);
    try {
      for (let message = await connection.next(); message; message = await connection.next()) {
        heard = true;
        wait_ms = FIRST_RETRY_MS;
        yield message;
      }
    } finally {
      connection.close();
    }
    if (signal?.aborted || connection.code === STREAM_ENDED) return;
    if (connection.code === ACCESS_ENDED) throw new Error("The access to this stream has ended.");
    if (!heard) throw new Error(`There is no landmark stream at ${address}: is the id right?`);
    if (!reconnect) throw new Error("The connection is lost.");
    await new Promise((resolve) => setTimeout(resolve, wait_ms));
  }
}

/**
 * A page's WebSocket can send no token, but a ticket in its address, which opens it once. Throws what the
 * server says when it refuses; when nothing answers, the WebSocket will find that, too.
 * @param {URL} address of the WebSocket
 * @param {URL} tickets where they are made
 * @param {string} path of the WebSocket, as the server has it
 * @param {string} token
 * @param {AbortSignal} [signal]
 */
async function addTicket(address, tickets, path, token, signal) {
  const answer = await fetch(tickets, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ path }),
    credentials: "omit",
    signal: signal ?? null,
  }).catch(() => null);
  if (!answer || answer.status >= 500) return;
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.detail);
  address.searchParams.set("ticket", said.ticket);
}

/** One WebSocket, read by one reader. */
class Connection {
  /** The close code, once it is closed. */
  code = 0;

  #socket;
  /** @type {StreamMessage[]} */
  #waiting = [];
  #wake = () => {};
  #over = false;
  /** Ends what it listens to beyond itself: a signal may outlive thousands of connections. */
  #listening = new AbortController();

  /**
   * @param {URL} address
   * @param {string} stream
   * @param {AbortSignal} [signal]
   */
  constructor(address, stream, signal) {
    this.#socket = new WebSocket(address, BINARY_PROTOCOL);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.addEventListener("message", ({ data }) => {
      const message = parseMessage(data, stream);
      if (message && message.type !== "ping" && message.type !== "clock") this.#put(message);
    });
    this.#socket.addEventListener("close", ({ code }) => {
      this.code = code;
      this.#end();
    });
    signal?.addEventListener("abort", () => this.close(), { signal: this.#listening.signal });
    if (signal?.aborted) this.close();
  }

  /** The next message; null at the end. */
  async next() {
    while (this.#waiting.length === 0 && !this.#over) {
      await /** @type {Promise<void>} */ (new Promise((resolve) => { this.#wake = resolve; }));
    }
    return this.#waiting.shift() ?? null;
  }

  close() {
    this.#socket.close();
    this.#end();
  }

  #end() {
    this.#listening.abort();
    this.#over = true;
    this.#wake();
  }

  /** @param {StreamMessage} message */
  #put(message) {
    this.#waiting.push(message);
    if (this.#waiting.length > MAX_WAITING) {
      const pose = this.#waiting.findIndex(({ type }) => type === "pose");
      this.#waiting.splice(Math.max(pose, 0), 1);
    }
    this.#wake();
  }
}
