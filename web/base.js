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

/**
 * The other way: the path of this server that an address of it means.
 * @param {string} address absolute, or a path with the prefix, as in a `Location`
 */
export function pathOf(address) {
  const { pathname } = new URL(address, import.meta.url);
  return pathname.startsWith(BASE) ? `/${pathname.slice(BASE.length)}` : pathname;
}
