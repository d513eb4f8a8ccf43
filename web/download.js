// Files that the browser saves.

import { element } from "./dom.js";

const KEPT_MS = 10_000; // browsers read the blob after the click

/**
 * Saves under the name of what is shown and the time, for example `door-2026-01-31T12-00-00.png`.
 * @param {Blob} blob
 * @param {string} subject
 * @param {string} ending
 */
export function download(blob, subject, ending) {
  const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  const address = URL.createObjectURL(blob);
  element("a", { href: address, download: `${subject}-${time}.${ending}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
