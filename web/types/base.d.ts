/**
 * The address of a path of this server.
 * @param {string} path begins with `/`
 */
export function url(path: string): string;
/**
 * The other way: the path of this server that an address of it means.
 * @param {string} address absolute, or a path with the prefix, as in a `Location`
 */
export function pathOf(address: string): string;
/** `/`, or `/prefix/`: the folder above the one that this module is in. */
export const BASE: string;
