// Finding and making elements. All text goes in as text, never as HTML.

import { url } from "./base.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * The element with this id; an Error when the page has none of that type.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`this page has no ${type.name} #${id}`);
  return found;
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/**
 * @param {string} label
 * @param {() => void} run
 * @param {Record<string, string>} [attributes]
 * @returns {HTMLButtonElement}
 */
export function button(label, run, attributes = {}) {
  const made = element("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", run);
  return made;
}

/**
 * One of icons.svg.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", url(`/static/icons.svg#${name}`));
  svg.append(use);
  return svg;
}

/**
 * Writes only what is new: an unchanged text costs no layout and is not read out again.
 * @param {Element} target
 * @param {string} text
 */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/**
 * Plays on. A picture that is replaced before it could play is no failure.
 * @param {HTMLVideoElement} video
 */
export function play(video) {
  video.play().catch((error) => {
    if (error.name !== "AbortError") throw error;
  });
}

/**
 * A <details> used as a menu closes on Escape, on a choice and on a click elsewhere. It listens to the page
 * only while it is open: menus come and go with what they belong to.
 * @param {HTMLDetailsElement} menu
 */
export function closeMenuByItself(menu) {
  const close = () => {
    menu.open = false;
  };
  const onClick = (/** @type {MouseEvent} */ event) => {
    const inside = event.target instanceof Node && menu.contains(event.target);
    const onSummary = event.target instanceof Element && event.target.closest("summary");
    if (!inside || !onSummary) close();
  };
  menu.addEventListener("toggle", () => {
    if (menu.open) document.addEventListener("click", onClick);
    else document.removeEventListener("click", onClick);
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    close();
    menu.querySelector("summary")?.focus();
  });
}
