// Loaded before the first paint, as theme.js is: which language the page speaks, and the switch. i18n.js
// has the words; until they are in, a Chinese page is hidden rather than shown in English for a moment.
{
  const KEY = "streamer.language";
  const WORDS_TIMEOUT_MS = 3_000;
  const root = document.documentElement;
  const spoken = navigator.languages.find((each) => /^(en|zh)\b/i.test(each)) ?? "en";
  const isChinese = (localStorage.getItem(KEY) ?? spoken).toLowerCase().startsWith("zh");

  root.lang = isChinese ? "zh-CN" : "en";
  if (isChinese) {
    root.dataset.untranslated = "";
    setTimeout(() => delete root.dataset.untranslated, WORDS_TIMEOUT_MS);
  }

  /** @param {HTMLElement} button shows the name of the language that it goes to, in that language */
  const setUp = (button) => {
    const [lang, label, name] = isChinese ? ["en", "EN", "English"] : ["zh-CN", "中文", "中文"];
    Object.assign(button, { lang, title: name, textContent: label });
    button.setAttribute("aria-label", name);
    button.addEventListener("click", () => {
      localStorage.setItem(KEY, lang);
      location.reload();
    });
  };

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("language");
    if (button) setUp(button);
  });
}
