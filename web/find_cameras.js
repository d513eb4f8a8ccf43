// Finding cameras to add: those of the network, asked for their streams, and those of the server itself.

import { requestJson, sentence } from "./api.js";
import { button, byId, element, setText } from "./dom.js";
import { t } from "./i18n.js";
import { mayHere } from "./me.js";

/**
 * As POST /api/v1/discover shows it (docs/protocol.md).
 * @typedef {{name: string, address: string, xaddr: string, scopes: string[]}} FoundCamera
 */
/**
 * As POST /api/v1/discover/streams shows it.
 * @typedef {object} CameraStream
 * @property {string} name
 * @property {string} url
 * @property {string | null} codec
 * @property {number | null} width
 * @property {number | null} height
 * @property {number | null} fps
 */
/**
 * What the form does for the search.
 * @typedef {object} Form
 * @property {() => {username: string, password: string}} login what was entered
 * @property {() => void} askLogin
 * @property {(address: string) => void} choose takes an address over
 */

const SEARCH_TIMEOUT_MS = 45_000;
const ASK_TIMEOUT_MS = 30_000;

export class FindCameras {
  #search = byId("find-cameras", HTMLButtonElement);
  #found = byId("found-cameras", HTMLElement);
  #ask = byId("ask-camera", HTMLButtonElement);
  #streams = byId("found-streams", HTMLElement);
  #searchMessage = byId("find-message", HTMLElement);
  #askMessage = byId("ask-message", HTMLElement);
  #form;
  /** @type {FoundCamera | null} */
  #chosen = null;

  /** @param {Form} form */
  constructor(form) {
    this.#form = form;
    this.#search.addEventListener("click", () => {
      void this.#act(this.#searchMessage, t("Searching…"), () => this.#find());
    });
    this.#ask.addEventListener("click", () => {
      void this.#act(this.#askMessage, t("Asking the camera…"), () => this.#showStreams());
    });
  }

  /** Offers the server's own cameras, which are known without a search. */
  async showDevices() {
    try {
      if (await mayHere("admin")) this.#showFound(await devices(), []);
    } catch (error) {
      console.error(error); // nothing that somebody asked for: the form works without
    }
  }

  reset() {
    this.#showFound([], []);
    say(this.#searchMessage, "ok", "");
  }

  /**
   * @param {HTMLElement} message
   * @param {string} doing
   * @param {() => Promise<string>} action its answer is shown
   */
  async #act(message, doing, action) {
    say(message, "busy", doing);
    this.#search.disabled = this.#ask.disabled = true;
    try {
      say(message, "ok", await action());
    } catch (error) {
      say(message, "error", sentence(error));
    } finally {
      this.#search.disabled = this.#ask.disabled = false;
    }
  }

  async #find() {
    const [own, found] = await Promise.all([
      devices(),
      requestJson("POST", "/api/v1/discover", { timeout_ms: SEARCH_TIMEOUT_MS }),
    ]);
    this.#showFound(own, found);
    if (found.length === 0) {
      return t("None found. Cameras in another network segment do not answer: enter the address.");
    }
    return t("{count} found. Choose one.", { count: found.length });
  }

  /**
   * @param {{device: string, name: string}[]} own
   * @param {FoundCamera[]} cameras
   */
  #showFound(own, cameras) {
    this.#chosen = null;
    this.#ask.hidden = true;
    say(this.#askMessage, "ok", "");
    this.#streams.replaceChildren();
    this.#found.replaceChildren(
      ...cameras.map((camera) => entry(camera.name, camera.address, (chosen) => {
        this.#choose(camera, chosen);
      })),
      ...own.map(({ device, name }) => entry(name, device, () => {
        this.#showFound(own, cameras); // forgets a choice: this one needs no password
        this.#form.choose(device);
      })),
    );
  }

  /**
   * @param {FoundCamera} camera
   * @param {HTMLButtonElement} chosen
   */
  #choose(camera, chosen) {
    this.#chosen = camera;
    for (const each of this.#found.querySelectorAll("button")) {
      each.setAttribute("aria-pressed", String(each === chosen));
    }
    this.#streams.replaceChildren();
    this.#ask.hidden = false;
    say(this.#askMessage, "ok", t("Enter the user and password of {name}.", { name: camera.name }));
    this.#form.askLogin();
  }

  async #showStreams() {
    if (this.#chosen === null) return "";
    /** @type {CameraStream[]} */
    const streams = await requestJson("POST", "/api/v1/discover/streams", {
      json: { address: this.#chosen.xaddr, ...this.#form.login() },
      timeout_ms: ASK_TIMEOUT_MS,
    });
    this.#streams.replaceChildren(
      ...streams.map((stream) => entry(stream.name, describe(stream), () => {
        this.#form.choose(stream.url);
      })),
    );
    this.#streams.querySelector("button")?.focus();
    return streams.length === 0 ? t("This camera has no streams.") : t("Choose a stream.");
  }
}

/**
 * @param {HTMLElement} message
 * @param {"busy" | "ok" | "error"} kind
 * @param {string} text
 */
function say(message, kind, text) {
  message.dataset.kind = kind;
  setText(message, text);
}

/** @returns {Promise<{device: string, name: string}[]>} */
function devices() {
  return requestJson("GET", "/api/v1/devices");
}

/**
 * @param {string} name
 * @param {string} detail
 * @param {(button: HTMLButtonElement) => void} choose
 */
function entry(name, detail, choose) {
  const made = button("", () => choose(made), { class: "found" });
  made.append(element("span", {}, name), element("span", { class: "muted" }, detail));
  return element("li", {}, made);
}

/** @param {CameraStream} stream */
function describe({ codec, width, height, fps }) {
  const size = width && height ? `${width}×${height}` : "";
  const rate = fps ? `${fps} fps` : "";
  return [codec?.toUpperCase(), size, rate].filter(Boolean).join(" · ");
}
