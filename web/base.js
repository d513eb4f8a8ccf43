// Where this server's paths begin: behind a proxy it may be under a prefix.

/** `/`, or `/prefix/`: the folder above the one that this module is in. */
export const BASE = new URL("../", import.meta.url).pathname;

/**
 * The address of a path of this server.
 * @param {string} path begins with `/`
 */
export function url(path) {
  return BASE + path.slice(1);
}
