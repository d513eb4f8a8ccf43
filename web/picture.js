// /picture: a picture dropped, pasted, chosen or taken; its poses beside it.

import { Problem, requestJson, sentence } from "./api.js";
import { url } from "./base.js";
import { CameraError, canAsk, closeCamera, insecureOrigin, openCamera } from "./camera.js";
import { Compare, openText } from "./compare.js";
import { button, byId, element, play, setText } from "./dom.js";
import { t } from "./i18n.js";
import { showRole } from "./me.js";
import { PersonChoice } from "./person.js";
import { copyText } from "./snippets.js";
import { LandmarkTable } from "./table.js";

/** @typedef {import("./landmarks.js").Pose} Pose */
/**
 * What POST /api/v1/images answers (docs/protocol.md).
 * @typedef {object} Analysis
 * @property {number} width
 * @property {number} height
 * @property {Pose[]} poses
 * @property {string} image its address: data:…
 */
/** @typedef {"idle" | "asking" | "connecting" | "live" | "nobody" | "reconnecting" | "failed"} State */
/** @typedef {{title: string, text?: string[], busy?: boolean, actions?: HTMLElement[]}} Notice */

const TIMEOUT_MS = 120_000;
const MAX_ATTEMPTS = 8;
const SHOT = { width: 1920, height: 1080 };
const SHOT_QUALITY = 0.95;
const SAVED = { "image/jpeg": "jpg" };

const frame = byId("picture", HTMLElement);
const noticeBox = byId("notice", HTMLElement);
const file = byId("file", HTMLInputElement);
const viewfinder = byId("viewfinder", HTMLVideoElement);
const model = byId("model", HTMLSelectElement);
const enhance = byId("enhance", HTMLInputElement);
const person = new PersonChoice(showPerson);
const results = [byId("json", HTMLButtonElement), byId("save", HTMLButtonElement)];
const table = new LandmarkTable();
const compare = new Compare((index) => {
  person.index = index;
  showPerson();
});

/** @type {Blob | null} */
let picture = null;
/** @type {Analysis | null} */
let found = null;
/** @type {MediaStream | null} */
let camera = null;
/** The newest request; older ones are given up. */
let running = new AbortController();

/**
 * @param {State} state
 * @param {string} words
 * @param {Notice | null} notice what lies over the picture
 */
function showState(state, words, notice) {
  byId("state", HTMLElement).dataset.state = state;
  frame.dataset.state = state;
  frame.classList.toggle("dim", notice !== null);
  setText(byId("state-words", HTMLElement), words);
  noticeBox.hidden = notice === null;
  if (!notice) return;
  noticeBox.replaceChildren(
    ...(notice.busy ? [element("i", { class: "spinner", "aria-hidden": "true" })] : []),
    element("h2", {}, notice.title),
    ...(notice.text ?? []).map((line) => element("p", {}, line)),
    element("div", { class: "actions" }, ...(notice.actions ?? [])),
  );
}

function showIdle() {
  table.show(undefined);
  showState("idle", t("no picture yet"), {
    title: t("See the poses in a picture"),
    text: [
      t("Drop a picture here, paste one, choose a file, or take one with the camera."),
      t("It goes to this server ({host}) and nowhere else, and is not kept.", { host: location.host }),
    ],
    actions: [chooseButton("primary big"), button(t("Use the camera"), () => void aim())],
  });
}

/** @param {string} look */
function chooseButton(look) {
  return button(t("Choose a picture"), () => file.click(), { class: look });
}

/** @param {Blob} chosen */
function take(chosen) {
  closeViewfinder();
  picture = chosen;
  void analyse();
}

/** Sends the picture, again and again while the server is busy. */
async function analyse() {
  if (!picture) return;
  running.abort();
  const mine = (running = new AbortController());
  forget();
  for (let attempt = 1; ; attempt += 1) {
    const title = attempt === 1 ? t("Looking for people") : t("Trying again");
    showState("connecting", t("waiting for the server"), { title, busy: true });
    try {
      const answer = await send(picture, mine.signal);
      if (!mine.signal.aborted) await showAnalysis(picture, answer);
      return;
    } catch (error) {
      if (mine.signal.aborted) return;
      const after_s = waitFor(error, attempt);
      if (after_s === null) return showFailure(error);
      if (!(await countDown(after_s, attempt + 1, mine.signal))) return;
    }
  }
}

/**
 * @param {Blob} blob
 * @param {AbortSignal} signal
 * @returns {Promise<Analysis & {milliseconds: number}>}
 */
async function send(blob, signal) {
  const options = new URLSearchParams();
  if (model.value) options.set("model_complexity", model.value);
  if (enhance.checked) options.set("enhance", "clahe");
  const form = new FormData();
  form.set("image", blob, "picture");
  const begun = performance.now();
  const path = url(`/api/v1/images?${options}`);
  const answer = await requestJson("POST", path, { form, signal, timeout_ms: TIMEOUT_MS });
  return { ...answer, milliseconds: performance.now() - begun };
}

/**
 * How long to wait before another try; null when there is no point in one.
 * @param {unknown} error
 * @param {number} attempt
 */
function waitFor(error, attempt) {
  const isBusy = error instanceof Problem && error.kind === "limit-reached";
  return isBusy && attempt < MAX_ATTEMPTS ? (error.retryAfter_s ?? 5) : null;
}

/**
 * False when another picture came meanwhile.
 * @param {number} seconds
 * @param {number} attempt
 * @param {AbortSignal} signal
 */
async function countDown(seconds, attempt, signal) {
  for (let left_s = seconds; left_s > 0; left_s -= 1) {
    showState("reconnecting", t("server busy"), {
      title: t("The server is busy"),
      text: [t("Trying again in {left} s (attempt {attempt})", { left: left_s, attempt })],
      busy: true,
    });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    if (signal.aborted) return false;
  }
  return true;
}

/**
 * @param {Blob} original
 * @param {Analysis & {milliseconds: number}} answer
 */
async function showAnalysis(original, { milliseconds, ...answer }) {
  found = answer;
  await compare.show(original, answer.image, answer);
  const { width, height, poses } = answer;
  const size = `${width}×${height} · ${(milliseconds / 1000).toFixed(2)} s`;
  const people =
    poses.length === 1 ? t("1 person") : t("{count} people", { count: poses.length });
  if (poses.length) showState("live", `${people} · ${size}`, null);
  else showState("nobody", `${t("nobody found")} · ${size}`, null);
  setText(byId("state-next", HTMLElement), poses.length ? "" : adviceForNobody());
  for (const control of results) control.disabled = false;
  person.offer(poses.length);
  showPerson();
}

function adviceForNobody() {
  return enhance.checked
    ? t("try a picture that shows more of the person")
    : t("try Enhance, or a picture that shows more of the person");
}

/** @param {unknown} error */
function showFailure(error) {
  const kind = error instanceof Problem ? error.kind : "";
  const [words, title] = FAILURES[kind] ?? [t("failed"), t("The picture could not be analysed")];
  const again = button(t("Try again"), () => void analyse());
  const isOurs = !(kind in FAILURES);
  showState("failed", words, {
    title,
    text: [sentence(error)],
    actions: [chooseButton("primary"), ...(isOurs ? [again] : [])],
  });
}

/** @type {Record<string, [words: string, title: string]>} */
const FAILURES = {
  "picture-too-large": [t("too large"), t("The picture is too large")],
  "request-entity-too-large": [t("too large"), t("The picture is too large")],
  "invalid-picture": [t("not a picture"), t("This can't be read as a picture")],
};

/** Nothing is shown any more of the last picture. */
function forget() {
  found = null;
  compare.clear();
  table.show(undefined);
  setText(byId("state-next", HTMLElement), "");
  for (const control of results) control.disabled = true;
}

function showPerson() {
  compare.choose(person.index);
  table.show(found?.poses[person.index] ?? found?.poses[0]);
}

// -- the camera ---------------------------------------------------------------------------------------

async function aim() {
  running.abort();
  forget();
  if (!canAsk) return showCameraError(insecureOrigin());
  showState("asking", t("asking for the camera"), {
    title: t("Asking for the camera"),
    text: [t("Your browser wants to know whether this page may use it.")],
    busy: true,
  });
  closeViewfinder();
  try {
    camera = await openCamera(SHOT, "");
  } catch (error) {
    return showCameraError(error);
  }
  viewfinder.srcObject = camera;
  viewfinder.hidden = false;
  play(viewfinder);
  const shutter = button(t("Take the picture"), () => void shoot(), { id: "shutter", class: "primary big" });
  showState("live", t("camera on"), {
    title: "",
    actions: [shutter, button(t("Cancel"), cancelCamera)],
  });
  frame.classList.remove("dim");
  frame.classList.add("aiming");
  shutter.focus();
}

async function shoot() {
  const { videoWidth: width, videoHeight: height } = viewfinder;
  if (!width) return; // its first picture has not come yet
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d")?.drawImage(viewfinder, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", SHOT_QUALITY));
  if (blob instanceof Blob) take(blob);
}

function cancelCamera() {
  closeViewfinder();
  showIdle();
}

function closeViewfinder() {
  closeCamera(camera);
  camera = null;
  viewfinder.srcObject = null;
  viewfinder.hidden = true;
  frame.classList.remove("aiming");
}

/** @param {unknown} error */
function showCameraError(error) {
  closeViewfinder();
  const known = error instanceof CameraError ? error : new CameraError(sentence(error), []);
  const hint = t("A phone offers its camera under “Choose a picture”, too.");
  showState("failed", t("no camera"), {
    title: known.message,
    text: [...known.advice, hint],
    actions: [
      chooseButton("primary"),
      ...(known.canRetry ? [button(t("Try again"), () => void aim())] : []),
    ],
  });
}

// -- ways in and out ----------------------------------------------------------------------------------

/** @param {DataTransfer | null} data */
function takeFrom(data) {
  const given = data?.files[0];
  if (given) take(given);
  return Boolean(given);
}

function showJson() {
  if (!found) return;
  const { image: _, ...answer } = found;
  // Each landmark on a line of its own.
  const text = JSON.stringify(answer, null, 1).replace(/\[\s+([^[\]]+?)\s+\]/g, (_all, row) =>
    `[${row.replace(/\s+/g, " ")}]`,
  );
  openText(t("Landmarks as JSON"), text, copyText);
}

function save() {
  if (!found) return;
  const [head = "", data = ""] = found.image.split(",");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const type = /** @type {keyof typeof SAVED} */ (head.slice(5).split(";")[0]);
  const address = URL.createObjectURL(new Blob([bytes], { type }));
  element("a", { href: address, download: `annotated.${SAVED[type]}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

byId("choose", HTMLButtonElement).addEventListener("click", () => file.click());
byId("shoot", HTMLButtonElement).addEventListener("click", () => void aim());
byId("json", HTMLButtonElement).addEventListener("click", showJson);
byId("save", HTMLButtonElement).addEventListener("click", save);
file.addEventListener("change", () => {
  const chosen = file.files?.[0];
  file.value = ""; // so that the same file can be chosen again
  if (chosen) take(chosen);
});
for (const option of [model, enhance]) option.addEventListener("change", () => void analyse());
document.addEventListener("paste", (event) => {
  if (takeFrom(event.clipboardData)) event.preventDefault();
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    frame.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) frame.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  frame.classList.remove("over");
  takeFrom(event.dataTransfer);
});
addEventListener("pagehide", closeViewfinder);
showIdle();
void showRole();
