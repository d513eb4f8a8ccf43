// What lies over the picture when it does not speak for itself: what is the matter, and what to do.

import { sentence } from "./api.js";
import { url } from "./base.js";
import { button, element } from "./dom.js";
import { serverWords, t } from "./i18n.js";
import { MODEL_NAMES } from "./words.js";

/** @typedef {import("./words.js").Status} Status */
/** @typedef {{title: string, text: string[], busy?: boolean, actions?: HTMLElement[]}} Notice */
/** @typedef {{model_complexity: number, wanted: number, reason?: string | null}} RunningModel */

const NEXT_STEPS = new Map([
  [
    "wrong-credentials",
    t("Remove this camera on the wall and add it again with the right password."),
  ],
  ["address-not-allowed", t("[rtsp] allowed_networks in the configuration says which are.")],
]);

/**
 * The notice for a status that needs one on either page.
 * @param {Status} status
 * @param {() => void} tryAgain
 * @param {import("./modes.js").VideoMode} video annotated video brings a lost camera's notice itself
 * @returns {Notice | null}
 */
export function noticeOf({ state, words, detail, kind, ours }, tryAgain, video) {
  const title = words.charAt(0).toUpperCase() + words.slice(1);
  const why = detail && sentence(serverWords(kind, detail));
  if (state === "connecting") return { title: t("Connecting"), text: [], busy: true };
  if (state === "paused") return { title: t("Waking the camera"), text: [], busy: true };
  // Plain video goes on; where the poses are drawn on it the picture stands still.
  if (state === "waiting" && video === "annotated") return { title: `${title}…`, text: [], busy: true };
  if (state === "reconnecting" && (ours || video !== "annotated")) {
    return { title, text: [why], busy: true };
  }
  if (state === "failed" || state === "ended") {
    const again = button(t("Try again"), tryAgain, { class: "primary" });
    const wall = element("a", { href: url("/"), class: "button" }, t("All streams"));
    const isOver = state === "ended" && !ours;
    const text = [isOver ? "" : why, NEXT_STEPS.get(kind) ?? ""];
    return { title: isOver ? t("The stream has ended") : title, text, actions: [again, wall] };
  }
  return null;
}

/**
 * What is to be said of the model that runs: nothing if it is the one that is wanted.
 * @param {RunningModel} model
 */
export function modelNotice({ model_complexity, wanted, reason }) {
  const names = { running: MODEL_NAMES[model_complexity] ?? "", wanted: MODEL_NAMES[wanted] ?? "" };
  switch (reason) {
    case "overload":
      return t(
        "This machine can't keep up: running the {running} model. The {wanted} one comes back when there is room.",
        names,
      );
    case "loading":
      return t("Loading the {wanted} model; the {running} one goes on meanwhile.", names);
    case "failed":
      return t("The {wanted} model can't be loaded: the {running} one goes on. The server's log has more.", names);
    default:
      return "";
  }
}

/**
 * @param {HTMLElement} place
 * @param {Notice | null} notice
 */
export function showNotice(place, notice) {
  place.hidden = notice === null;
  if (!notice) return;
  place.replaceChildren(
    ...(notice.busy ? [element("i", { class: "spinner", "aria-hidden": "true" })] : []),
    element("h2", {}, notice.title),
    ...notice.text.filter((line) => line).map((line) => element("p", {}, line)),
    element("div", { class: "actions" }, ...(notice.actions ?? [])),
  );
}
