// Where a person wanted to go before the server asked who they are.

/**
 * An absolute address at this server. Not a path: that of `/.//evil.example` is `//evil.example`, which is an
 * address of another server.
 * @param {string} wall the server's own, absolute; ends with `/`
 * @param {string} next of anybody's making
 */
export function placeAt(wall, next) {
  try {
    const { href } = new URL(next, wall);
    return href.startsWith(wall) ? href : wall;
  } catch {
    return wall; // it is no address
  }
}
