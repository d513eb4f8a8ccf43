// /trust: the server's certificate authority, and how this device learns to trust it.

import { requestJson, sentence } from "./api.js";
import { byId, element, setText } from "./dom.js";

/** @typedef {{name: string, sha256: string, until: string}} Authority */

/** The first that the browser's name fits. Firefox keeps certificates of its own but on phones. */
const DEVICES = /** @type {const} */ ([
  ["ios", /iPhone|iPad/],
  ["android", /Android/],
  ["firefox", /Firefox/],
  ["windows", /Windows/],
  ["macos", /Mac OS X/],
  ["linux", /Linux|CrOS/],
]);

/** @param {Authority} authority */
function show({ name, sha256, until }) {
  setText(byId("authority", HTMLElement), name);
  const bytes = sha256.split(/(?<=:)/); // a line ends between two, never in one
  byId("sha256", HTMLElement).replaceChildren(...bytes.flatMap((byte) => [byte, element("wbr")]));
  setText(byId("until", HTMLElement), until);
  const device = DEVICES.find(([, names]) => names.test(navigator.userAgent))?.[0];
  for (const steps of document.querySelectorAll("details")) {
    steps.open = steps.dataset.device === device;
  }
}

try {
  /** @type {{authority: Authority | null}} */
  const { authority } = await requestJson("GET", "/trust/authority");
  byId("none", HTMLElement).hidden = authority !== null;
  byId("some", HTMLElement).hidden = authority === null;
  if (authority) show(authority);
} catch (error) {
  setText(byId("trouble", HTMLElement), sentence(error));
}
