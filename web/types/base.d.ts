/**
 * The address of a path of this server.
 * @param {string} path begins with `/`
 */
export function url(path: string): string;
/** `/`, or `/prefix/`: the folder above the one that this module is in. */
export const BASE: string;
