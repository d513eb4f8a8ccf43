// Which of several people the figures are of.

import { byId } from "./dom.js";
import { t } from "./i18n.js";

/** The `<select>` of a page, which is there only while there is a choice. */
export class PersonChoice {
  #select = byId("person", HTMLSelectElement);

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#select.addEventListener("change", onChange);
  }

  get index() {
    return Number(this.#select.value);
  }

  set index(index) {
    this.#select.value = String(index);
  }

  /** @param {number} count of people */
  offer(count) {
    const select = this.#select;
    select.hidden = count < 2;
    while (select.length < count) {
      const index = select.length;
      select.add(new Option(t("person {number}", { number: index + 1 }), String(index)));
    }
    while (select.length > Math.max(count, 1)) select.remove(select.length - 1);
  }
}
