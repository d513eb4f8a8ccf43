// A picture before and after, one over the other, with a slider between them and a number on each person.

import { button, byId, element } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {import("./landmarks.js").Pose} Pose */

const NOSE = 0;

export class Compare {
  #root = byId("compare", HTMLElement);
  #frame = byId("picture", HTMLElement);
  #original = byId("original", HTMLImageElement);
  #annotated = byId("annotated", HTMLImageElement);
  #split = byId("split", HTMLInputElement);
  #badges = byId("badges", HTMLElement);

  /** @param {(person: number) => void} onChoose somebody's number was pressed */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.#split.addEventListener("input", () => this.#showSplit());
    // A browser may know less than the server: few show HEIC or TIFF.
    this.#original.addEventListener("error", () => this.#root.classList.add("alone"));
    this.#original.addEventListener("load", () => this.#root.classList.remove("alone"));
  }

  /**
   * @param {Blob} original
   * @param {string} annotated its address
   * @param {{width: number, height: number, poses: Pose[]}} found
   */
  async show(original, annotated, { width, height, poses }) {
    this.clear();
    this.#annotated.src = annotated;
    this.#original.src = URL.createObjectURL(original);
    this.#frame.style.setProperty("--ratio", String(width / height));
    const numbers = poses.length > 1 ? poses.map((pose, index) => this.#badge(pose, index)) : [];
    this.#badges.replaceChildren(...numbers);
    this.choose(0);
    await this.#annotated.decode();
    this.#root.hidden = false;
  }

  /** @param {number} person from 0 on */
  choose(person) {
    [...this.#badges.children].forEach((badge, index) => {
      badge.setAttribute("aria-pressed", String(index === person));
    });
  }

  clear() {
    this.#root.hidden = true;
    if (this.#original.src) URL.revokeObjectURL(this.#original.src);
    this.#original.removeAttribute("src");
    this.#annotated.removeAttribute("src");
    this.#frame.style.removeProperty("--ratio");
    this.#badges.replaceChildren();
  }

  /**
   * @param {Pose} pose
   * @param {number} index
   */
  #badge({ landmarks }, index) {
    const name = t("person {number}", { number: index + 1 });
    const badge = button(String(index + 1), () => this.onChoose(index), {
      class: "badge",
      "aria-label": name,
      title: name,
    });
    const [x, y] = landmarks[NOSE] ?? [0, 0];
    badge.style.setProperty("--x", String(Math.min(Math.max(x, 0), 1)));
    badge.style.setProperty("--y", String(Math.min(Math.max(y, 0), 1)));
    return badge;
  }

  #showSplit() {
    this.#root.style.setProperty("--split", this.#split.value);
  }
}

/**
 * A dialog with a text to copy.
 * @param {string} title
 * @param {string} text
 * @param {(source: HTMLElement, report: HTMLElement) => Promise<void>} copy
 */
export function openText(title, text, copy) {
  const code = element("code", {}, text);
  const copied = element("span", { role: "status", class: "muted" });
  const dialog = element("dialog", { class: "wide", "aria-label": title });
  dialog.append(
    element("h2", {}, title),
    element("pre", { tabindex: "0" }, code),
    element(
      "footer",
      {},
      copied,
      button(t("Copy"), () => void copy(code, copied), { class: "primary" }),
      button(t("Close"), () => dialog.close()),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
