// The form that adds an IP camera: test it first, or add it at once.

import { request, requestJson, sentence } from "./api.js";
import { byId, setText } from "./dom.js";
import { FindCameras } from "./find_cameras.js";
import { t } from "./i18n.js";

const PROBE_TIMEOUT_MS = 30_000;
const ID = /^[a-z0-9-]{1,64}$/;

/** Sets up the form. `onAdded` is called when the server has taken the camera. */
export class CameraForm {
  #form = byId("add-camera", HTMLFormElement);
  #url = byId("camera-url", HTMLInputElement);
  #name = byId("camera-name", HTMLInputElement);
  #user = byId("camera-user", HTMLInputElement);
  #password = byId("camera-password", HTMLInputElement);
  #message = byId("camera-message", HTMLElement);
  #login = byId("camera-login", HTMLDetailsElement);
  #find = new FindCameras({
    login: () => ({ username: this.#user.value, password: this.#password.value }),
    askLogin: () => {
      this.#login.open = true;
      this.#user.focus();
    },
    choose: (address) => {
      this.#url.value = address;
      void this.#act("Asking the camera…", () => this.#test());
    },
  });
  #buttons = [byId("camera-add", HTMLButtonElement), byId("camera-test", HTMLButtonElement)];
  #onAdded;

  /** @param {() => void} onAdded */
  constructor(onAdded) {
    this.#onAdded = onAdded;
    void this.#find.showDevices();
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#act(t("Adding…"), () => this.#add());
    });
    byId("camera-test", HTMLButtonElement).addEventListener("click", () => {
      void this.#act(t("Asking the camera…"), () => this.#test());
    });
  }

  focus() {
    this.#say("ok", "");
    this.#url.focus();
  }

  /**
   * @param {string} doing
   * @param {() => Promise<string>} action its answer is shown
   */
  async #act(doing, action) {
    this.#say("busy", doing);
    for (const each of this.#buttons) each.disabled = true;
    try {
      this.#say("ok", await action());
    } catch (error) {
      this.#say("error", sentence(error));
    } finally {
      for (const each of this.#buttons) each.disabled = false;
    }
  }

  async #test() {
    const json = { source: this.#source() };
    const found = await requestJson("POST", "/api/v1/probe", {
      json,
      timeout_ms: PROBE_TIMEOUT_MS,
    });
    const fps = found.fps ? ` · ${Number(found.fps).toFixed(1)} fps` : "";
    const first_s = Number(found.time_to_first_frame_s).toFixed(1);
    const video = `${String(found.codec).toUpperCase()} · ${found.width}×${found.height}`;
    return t("It works: {video} · first picture after {seconds} s", {
      video: video + fps,
      seconds: first_s,
    });
  }

  async #add() {
    const source = this.#source();
    const id = idFrom(this.#name.value);
    await request("POST", "/api/v1/streams", { json: { ...(id ? { id } : {}), source } });
    this.#form.reset();
    this.#find.reset();
    this.#onAdded();
    return t("Added.");
  }

  #source() {
    const url = this.#url.value.trim();
    if (!url) throw new Error(t("Enter the camera's address; it starts with rtsp://"));
    if (url.startsWith("/dev/")) return { type: "usb", device: url };
    const [username, password] = [this.#user.value, this.#password.value];
    return { type: "rtsp", url, ...(username ? { username, password } : {}) };
  }

  /**
   * @param {"busy" | "ok" | "error"} kind
   * @param {string} text
   */
  #say(kind, text) {
    this.#message.dataset.kind = kind;
    setText(this.#message, text);
  }
}

/**
 * "Front door" -> "front-door"; "" when the server shall choose.
 * @param {string} name
 */
function idFrom(name) {
  const id = name.trim().toLowerCase().replace(/[\s_.]+/g, "-");
  if (id && !ID.test(id)) {
    throw new Error(t("A name has letters a to z, figures and hyphens only."));
  }
  return id;
}
