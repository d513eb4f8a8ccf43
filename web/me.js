// Who is at the page and what they may do. The rest is hidden (style.css, by `data-needs`), not refused.

import { request, requestJson } from "./api.js";
import { url } from "./base.js";
import { button, icon } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {"view" | "operate" | "admin"} Role each may do what those before it may */
/**
 * As GET /api/v1/me has it (docs/protocol.md).
 * @typedef {object} Me
 * @property {string} name
 * @property {Role} role
 * @property {string[]} scopes
 * @property {string | null} expires
 * @property {boolean} signed_in there is something to sign out of
 */

const ROLES = /** @type {const} */ (["view", "operate", "admin"]);

/** @type {Promise<Me> | null} */
let asked = null;

/** Asked once for each page. */
export function whoIsHere() {
  asked ??= requestJson("GET", "/api/v1/me").catch((error) => {
    asked = null; // the server may be back when it is asked next
    throw error;
  });
  return /** @type {Promise<Me>} */ (asked);
}

/** @param {Role} needed */
export async function mayHere(needed) {
  const { role } = await whoIsHere();
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** Hides what the person may not do, and lets one who has signed in sign out. */
export async function showRole() {
  try {
    const me = await whoIsHere();
    document.documentElement.dataset["role"] = me.role;
    if (me.signed_in) showSignOut(me);
  } catch (error) {
    console.error(error); // the page goes on: the server refuses what may not be done
  }
}

/** @param {Me} me */
function showSignOut({ name }) {
  const out = button("", () => void signOut(), { id: "sign-out", class: "quiet" });
  out.title = t("Sign out ({name})", { name });
  out.setAttribute("aria-label", out.title);
  out.append(icon("out"));
  document.getElementById("theme")?.after(out);
}

async function signOut() {
  await request("POST", "/api/v1/logout");
  location.assign(url("/login"));
}
