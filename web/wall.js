// /: every listed stream, and the way to add one.

import { requestJson, sentence, ServerGone } from "./api.js";
import { CameraForm } from "./camera_form.js";
import { Card } from "./card.js";
import { byId, setText } from "./dom.js";
import { t } from "./i18n.js";
import { showRole } from "./me.js";
import { statusAfter } from "./retry.js";
import { nextTry, statusOf } from "./words.js";

/** @typedef {import("./api.js").StreamInfo} StreamInfo */

const POLL_INTERVAL_MS = 2_000;
const FAST_POLL_INTERVAL_MS = 400; // while a camera is being opened
const COUNTDOWN_INTERVAL_MS = 500;

const grid = byId("cards", HTMLElement);
const addPanel = byId("add", HTMLElement);
const intro = byId("intro", HTMLElement);
const welcome = byId("welcome", HTMLElement);
const opener = byId("open-add", HTMLButtonElement);
const cancel = byId("camera-cancel", HTMLButtonElement);
const banner = byId("banner", HTMLElement);

/** @type {Map<string, Card>} */
const cards = new Map();
/** @type {WeakSet<Element>} */
const inSight = new WeakSet();
let isAdding = false;
let failures = 0;
let trouble = statusOf("live");
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

const sight = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inSight.add(target);
      else inSight.delete(target);
    }
    watchCards();
  },
  { rootMargin: "120px" },
);

const form = new CameraForm(() => {
  isAdding = false;
  void refresh();
});

/** Only what somebody can see is streamed. */
function watchCards() {
  for (const card of cards.values()) card.setWatched(!document.hidden && inSight.has(card.root));
}

async function refresh() {
  clearTimeout(timer);
  let delay_ms = POLL_INTERVAL_MS;
  try {
    /** @type {StreamInfo[]} */
    const streams = await requestJson("GET", "/api/v1/streams");
    show(streams);
    if (streams.some(({ state }) => state === "connecting")) delay_ms = FAST_POLL_INTERVAL_MS;
    failures = 0;
    trouble = statusOf("live");
  } catch (error) {
    failures += 1;
    trouble = statusAfter(error, failures);
    delay_ms = Math.max((trouble.retryAt ?? 0) - performance.now(), POLL_INTERVAL_MS / 2);
    if (!(error instanceof ServerGone)) console.error(error);
  }
  showBanner();
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(() => void refresh(), delay_ms);
}

/** @param {StreamInfo[]} streams */
function show(streams) {
  const ids = new Set(streams.map(({ id }) => id));
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    sight.unobserve(card.root);
    card.close();
    cards.delete(id);
  }
  for (const info of streams) {
    const known = cards.get(info.id);
    if (known) known.update(info);
    else addCard(info);
  }
  watchCards();
  showAddPanel();
}

/** @param {StreamInfo} info */
function addCard(info) {
  const card = new Card(info, () => void refresh());
  cards.set(info.id, card);
  grid.append(card.root);
  sight.observe(card.root);
}

/** On an empty wall it is the page, with the webcam beside it; else it opens on demand. */
function showAddPanel() {
  const isEmpty = cards.size === 0;
  intro.hidden = !isEmpty;
  welcome.hidden = !isEmpty;
  opener.hidden = isEmpty;
  cancel.hidden = isEmpty;
  addPanel.hidden = !isEmpty && !isAdding;
  opener.setAttribute("aria-expanded", String(isAdding));
}

function showBanner() {
  banner.hidden = trouble.state === "live";
  grid.classList.toggle("stale", !banner.hidden);
  if (banner.hidden) return;
  setText(banner, sentence([trouble.words, nextTry(trouble)].filter(Boolean).join(t(", "))));
}

function toggleAdding() {
  isAdding = !isAdding;
  showAddPanel();
  if (isAdding) form.focus();
  else opener.focus();
}

opener.addEventListener("click", toggleAdding);
cancel.addEventListener("click", toggleAdding);
addPanel.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isAdding) toggleAdding();
});
document.addEventListener("visibilitychange", () => {
  watchCards();
  if (!document.hidden) void refresh();
});
addEventListener("online", () => void refresh());
void showRole();
setInterval(() => {
  showBanner();
  for (const card of cards.values()) card.showNext();
}, COUNTDOWN_INTERVAL_MS);
void refresh();
