// The words of the pages in the browser's language. The English words are the key, so that a page reads
// well in its source, and a word that nobody has translated yet stays English (tests/unit/test_words.py
// finds it). language.js has chosen the language before; zh.js has the Chinese words.

/**
 * @typedef {object} Dictionary
 * @property {Record<string, string>} words English -> translated
 * @property {Record<string, string>} problems the kind of a server's error -> what it means
 */

const isChinese = globalThis.document?.documentElement.lang.startsWith("zh") ?? false;
/** @type {Dictionary} */
const { words, problems } = isChinese ? await import("./zh.js") : { words: {}, problems: {} };

/**
 * The text in the browser's language, word for word as it stands in the source. `{name}` in it stands
 * for `values.name`.
 * @param {string} english
 * @param {Record<string, string | number>} [values]
 */
export function t(english, values = {}) {
  const text = words[english] ?? english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * What the server says of an error. Its sentences are English; in another language the meaning of
 * their kind comes first.
 * @param {string} kind of the error, or nothing
 * @param {string} detail
 */
export function serverWords(kind, detail) {
  const meaning = problems[kind];
  if (!meaning) return detail;
  return detail ? `${meaning}（${detail}）` : meaning;
}

const TRANSLATED_ATTRIBUTES = ["title", "aria-label", "placeholder", "alt"];
const LEFT_ALONE = "script, style, [translate=no]";

/** Puts the words of the page's own HTML into the browser's language. */
function translatePage() {
  const texts = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { parentElement: parent, nodeValue } = texts.currentNode;
    const english = (nodeValue ?? "").trim().replace(/\s+/g, " ");
    if (!english || parent?.closest(LEFT_ALONE)) continue;
    texts.currentNode.nodeValue = (nodeValue ?? "").replace(/\S[^]*\S|\S/, () => t(english));
  }
  for (const name of TRANSLATED_ATTRIBUTES) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      if (element.closest(LEFT_ALONE)) continue;
      element.setAttribute(name, t(element.getAttribute(name) ?? ""));
    }
  }
}

if (isChinese) {
  translatePage();
  delete document.documentElement.dataset["untranslated"];
}
