// /webcam: this computer's camera up; its picture back, annotated or not, or its landmarks alone.

import { request, sentence, streamPath } from "./api.js";
import { url } from "./base.js";
import {
  CameraError,
  canAsk,
  closeCamera,
  insecureOrigin,
  listCameras,
  openCamera,
} from "./camera.js";
import { button, byId, element, setText } from "./dom.js";
import { t } from "./i18n.js";
import { ModeChoice, NO_CAPTURE_TIMES, tellsCaptureTimes } from "./modes.js";
import { noticeOf } from "./notices.js";
import { WebcamPeer } from "./peers.js";
import { Stage } from "./stage.js";
import { statusOf } from "./words.js";

/** @typedef {import("./words.js").Status} Status */

const MIRROR_KEY = "streamer.mirror";
const OVERLAYS = /** @type {const} */ ({ annotated: "off", plain: "packets", none: "camera" });

const stage = new Stage();
const choice = new ModeChoice((mode) => peer?.switchVideo(mode));
const stopButton = byId("stop", HTMLButtonElement);
const cameraSelect = byId("camera", HTMLSelectElement);
const sizeSelect = byId("camera-size", HTMLSelectElement);
const mirror = byId("mirror", HTMLInputElement);
const share = byId("share", HTMLInputElement);
const message = byId("option-message", HTMLElement);

/** @type {MediaStream | null} */
let camera = null;
/** @type {WebcamPeer | null} */
let peer = null;

async function start() {
  stage.showStatus(statusOf("asking"), {
    title: t("Asking for the camera"),
    text: [t("Your browser wants to know whether this page may use it.")],
    busy: true,
  });
  try {
    useCamera(await openCamera(wantedSize(), cameraSelect.value));
  } catch (error) {
    showCameraError(error);
    return;
  }
  await fillCameras();
  if (camera && !(await tellsCaptureTimes(camera))) choice.disable("none", NO_CAPTURE_TIMES);
  connect();
}

function connect() {
  if (!camera) return;
  const mine = new WebcamPeer(camera, {
    onStatus: (status) => onStatus(mine, status),
    onAttempt: () => stage.begin(OVERLAYS[mine.video]),
    onConnected: () => {
      stage.connected();
      if (mine.video === "none" && camera) stage.showMedia(camera);
    },
    onMedia: (media) => stage.showMedia(media),
    onLoss: () => stage.holdPicture(),
    onPose: (pose) => stage.showPose(pose),
    onClock: (clock) => stage.noteClock(clock),
    onModel: (model) => stage.showModel(model),
    onStats: (stats) => stage.showStats(stats),
    onInfo: (info) => {
      stage.showInfo(info);
      if (info.listed !== share.checked) void setShared();
    },
  });
  mine.video = choice.mode;
  peer = mine;
  stage.setPeer(mine);
  stopButton.disabled = false;
  mine.start();
}

/**
 * @param {WebcamPeer} from
 * @param {Status} status
 */
function onStatus(from, status) {
  if (from !== peer || status.state === "idle") return;
  share.disabled = status.state !== "live" && status.state !== "nobody";
  const isOver = status.state === "failed" || status.state === "ended";
  if (isOver) release();
  stage.showStatus(status, noticeOf(status, () => void start(), from.video));
}

function stop() {
  release();
  showIdle();
}

/** Lets go of the camera, so that its light goes out, and of the server. */
function release() {
  const old = peer;
  peer = null;
  old?.stop();
  stage.setPeer(null);
  closeCamera(camera);
  camera = null;
  stopButton.disabled = true;
  share.checked = false;
  share.disabled = true;
}

function showIdle() {
  const startButton = button(t("Start"), () => void start(), { id: "start", class: "primary big" });
  stage.showStatus(statusOf("idle"), {
    title: t("See your own pose, live"),
    text: [
      t(
        "The picture goes to this server ({host}) and nowhere else. " +
          "Your browser asks for the camera when you press Start.",
        { host: location.host },
      ),
    ],
    actions: [startButton],
  });
}

/** @param {unknown} error */
function showCameraError(error) {
  release();
  const known = error instanceof CameraError ? error : new CameraError(sentence(error), []);
  const again = button(t("Try again"), () => void start(), { id: "start", class: "primary" });
  const more = known.more && element("a", { href: url(known.more), class: "button" }, t("What to do"));
  const words = known.message.charAt(0).toLowerCase() + known.message.slice(1);
  stage.showStatus(statusOf("failed", { words, ours: true }), {
    title: known.message,
    text: known.advice,
    actions: [...(known.canRetry ? [again] : []), ...(more ? [more] : [])],
  });
}

/** @param {MediaStream} opened */
function useCamera(opened) {
  closeCamera(camera);
  camera = opened;
  opened.getVideoTracks()[0]?.addEventListener("ended", () => {
    if (camera !== opened) return;
    showCameraError(
      new CameraError(t("The camera is gone"), [
        t("It was unplugged, or the system took it away."),
      ]),
    );
  });
}

/** Another camera or size while it runs: the connection stays. */
async function changeCamera() {
  if (!peer) return;
  setText(message, "");
  const active = peer;
  try {
    closeCamera(camera); // many cameras can be open once only
    useCamera(await openCamera(wantedSize(), cameraSelect.value));
  } catch (error) {
    showCameraError(error);
    return;
  }
  if (!camera) return;
  await active.replaceCamera(camera);
  if (active.video === "none") stage.showMedia(camera);
}

async function fillCameras() {
  const inUse = camera?.getVideoTracks()[0]?.getSettings().deviceId ?? "";
  const options = (await listCameras()).map(
    ({ label, deviceId }, index) => new Option(label || t("camera {number}", { number: index + 1 }), deviceId),
  );
  if (options.length === 0) return;
  cameraSelect.replaceChildren(...options);
  cameraSelect.value = inUse;
  cameraSelect.disabled = options.length < 2;
}

/** @returns {import("./camera.js").Size} */
function wantedSize() {
  const [width = 640, height = 480] = sizeSelect.value.split("x").map(Number);
  return { width, height };
}

async function setShared() {
  if (!peer) return;
  setText(message, "");
  try {
    await request("PATCH", streamPath(peer.streamId), { json: { listed: share.checked } });
  } catch (error) {
    share.checked = !share.checked;
    setText(message, sentence(error));
  }
}

function showMirrored() {
  stage.setMirrored(mirror.checked);
  localStorage.setItem(MIRROR_KEY, String(mirror.checked));
}

mirror.checked = localStorage.getItem(MIRROR_KEY) !== "false";
showMirrored();
mirror.addEventListener("change", showMirrored);
share.addEventListener("change", () => void setShared());
cameraSelect.addEventListener("change", () => void changeCamera());
sizeSelect.addEventListener("change", () => void changeCamera());
stopButton.addEventListener("click", stop);
if (canAsk) showIdle();
else showCameraError(insecureOrigin());
