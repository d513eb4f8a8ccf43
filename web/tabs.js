// Tabs (WAI-ARIA's pattern): one of several sheets is shown; arrow keys go from tab to tab.

const STEPS = new Map([["ArrowRight", 1], ["ArrowLeft", -1]]);

export class Tabs {
  /** @type {HTMLElement[]} each names its sheet in `aria-controls` */
  #tabs;

  /** @param {HTMLElement} list with role=tablist */
  constructor(list) {
    this.#tabs = [...list.querySelectorAll("[role=tab]")].filter((tab) => tab instanceof HTMLElement);
    for (const tab of this.#tabs) tab.addEventListener("click", () => this.#choose(tab));
    list.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** @param {HTMLElement} chosen */
  #choose(chosen) {
    for (const tab of this.#tabs) {
      tab.ariaSelected = String(tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      const sheet = document.getElementById(tab.getAttribute("aria-controls") ?? "");
      if (sheet) sheet.hidden = tab !== chosen;
    }
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const step = STEPS.get(event.key);
    const at = this.#tabs.findIndex((tab) => tab === document.activeElement);
    const next = this.#tabs.at((at + (step ?? 0)) % this.#tabs.length);
    if (step === undefined || at < 0 || !next) return;
    event.preventDefault();
    this.#choose(next);
    next.focus();
  }
}
