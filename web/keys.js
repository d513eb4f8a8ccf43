// Keyboard: what the keys do, and the dialog that lists them.

import { button, element } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {{key: string, name: string, does: string, run: () => void}} Key */

const TYPING = "input:not([type=checkbox]), select, textarea";
const PRESSABLE = "button, a, summary, input, select, textarea";

/**
 * @param {Key[]} keys
 * @param {HTMLElement} opener shows the list on a click, as `?` does
 * @param {Pick<Key, "name" | "does">[]} others that somebody else listens to
 */
export function bindKeys(keys, opener, others = []) {
  const dialog = makeDialog([...keys, ...others]);
  document.body.append(dialog);
  const open = () => dialog.showModal();
  opener.addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
      return;
    }
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(event.key === " " ? PRESSABLE : TYPING)) return;
    const key = keys.find((each) => each.key === event.key);
    if (event.key === "?") open();
    else if (key && !event.repeat) key.run();
    else return;
    event.preventDefault();
  });
}

/** @param {Pick<Key, "name" | "does">[]} keys */
function makeDialog(keys) {
  const list = element("dl", { class: "keys" });
  for (const { name, does } of [...keys, { name: "?", does: t("these keys") }]) {
    list.append(element("dt", {}, element("kbd", {}, name)), element("dd", {}, does));
  }
  const dialog = element("dialog", { "aria-labelledby": "keys-title" });
  const close = button(t("Close"), () => dialog.close());
  dialog.append(element("h2", { id: "keys-title" }, t("Keys")), list, close);
  return dialog;
}
