// /login: the access token becomes a cookie.

import { Problem, request, sentence } from "./api.js";
import { BASE } from "./base.js";
import { byId, setText } from "./dom.js";
import { t } from "./i18n.js";
import { placeAt } from "./next.js";

const WRONG_TOKEN = 401;
const form = byId("login", HTMLFormElement);
const token = byId("token", HTMLInputElement);
const message = byId("login-message", HTMLElement);
const submit = byId("sign-in", HTMLButtonElement);

/** @type {Record<string, string>} */
const REASONS = {
  ended: t("Your access has ended. Sign in to go on."),
  role: t("Your token may not do that. Sign in with one that may."),
};

function nextPlace() {
  const next = new URLSearchParams(location.search).get("next") ?? BASE;
  return placeAt(new URL(BASE, location.origin).href, next);
}

async function signIn() {
  submit.disabled = true;
  setText(message, "");
  try {
    await request("POST", "/api/v1/login", { json: { token: token.value } });
    location.replace(nextPlace());
  } catch (error) {
    const isWrong = error instanceof Problem && error.status === WRONG_TOKEN;
    setText(message, isWrong ? t("That token is not right.") : sentence(error));
    token.select();
  } finally {
    submit.disabled = false;
  }
}

setText(byId("login-why", HTMLElement), REASONS[new URLSearchParams(location.search).get("why") ?? ""] ?? "");
form.addEventListener("submit", (event) => {
  event.preventDefault();
  void signIn();
});
