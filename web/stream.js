// /streams/{id}: one stream.

import { request, sentence, streamPath } from "./api.js";
import { pathOf } from "./base.js";
import { byId, setText } from "./dom.js";
import { t } from "./i18n.js";
import { mayHere } from "./me.js";
import { ModeChoice } from "./modes.js";
import { noticeOf } from "./notices.js";
import { ViewerPeer } from "./peers.js";
import { Stage } from "./stage.js";

const streamId = decodeURIComponent(pathOf(location.href).split("/")[2] ?? "");
const OVERLAYS = /** @type {const} */ ({ annotated: "off", plain: "packets", none: "alone" });

const stage = new Stage();
const choice = new ModeChoice((mode) => peer.switchVideo(mode));
const peer = new ViewerPeer(streamId, {
  onStatus: (status) => {
    stage.showStatus(status, noticeOf(status, () => void tryAgain(), peer.video));
  },
  onAttempt: () => stage.begin(OVERLAYS[peer.video]),
  onConnected: () => stage.connected(),
  onMedia: (media) => stage.showMedia(media),
  onLoss: () => stage.holdPicture(),
  onPose: (message) => stage.showPose(message),
  onClock: (message) => stage.noteClock(message),
  onModel: (model) => stage.showModel(model),
  onStats: (stats) => stage.showStats(stats),
  onInfo: (info) => {
    stage.showInfo(info);
    showName(info.source.type);
  },
});

/** Asks the camera once more when that is what failed; then connects anew. */
async function tryAgain() {
  if (!peer.status.ours && peer.status.state === "failed") {
    try {
      if (await mayHere("operate")) await request("POST", `${streamPath(streamId)}/restart`);
    } catch (error) {
      setText(byId("option-message", HTMLElement), sentence(error));
    }
  }
  peer.start();
}

/** @param {string} kind */
function showName(kind) {
  const name = kind === "webcam" ? t("Shared webcam") : streamId;
  setText(byId("name", HTMLElement), name);
  document.title = `${name} · Streamer`;
}

showName("");
stage.setPeer(peer);
peer.video = choice.mode;
peer.start();
