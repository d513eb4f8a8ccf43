// Loaded before the first paint, so that no page flashes in the other theme. Not a module for that
// reason: modules wait for the document.
{
  const KEY = "streamer.theme";
  const root = document.documentElement;
  const systemIsDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const saved = localStorage.getItem(KEY);
  if (saved === "dark" || saved === "light") root.dataset.theme = saved;

  /** The other theme; nothing is remembered when that is the system's own again. */
  const toggle = () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark();
    const next = isDark ? "light" : "dark";
    root.dataset.theme = next;
    if ((next === "dark") === systemIsDark()) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme")?.addEventListener("click", toggle);
  });
}
