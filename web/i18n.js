// The words of the pages in the browser's language. The English words are the key, so that a page reads
// well in its source, and a word that nobody has translated yet stays English.

/** @type {Record<string, string>} */
const words = {};

/**
 * The text in the browser's language. `{name}` in it stands for `values.name`.
 * @param {string} english
 * @param {Record<string, string | number>} [values]
 */
export function t(english, values = {}) {
  const text = words[english] ?? english;
  return text.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}
