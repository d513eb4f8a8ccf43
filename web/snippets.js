// Code that reads a stream from another program, ready to copy.

import { url } from "./base.js";
import { button, element } from "./dom.js";
import { t } from "./i18n.js";

/** @typedef {{name: string, code: (origin: string, id: string) => string}} Snippet */

const BEARER = '-H "Authorization: Bearer TOKEN"';

/** @type {Snippet[]} */
const SNIPPETS = [
  {
    name: "Python",
    code: (origin, id) => `# ${t("It needs aiohttp and NumPy; the server's .venv has all of it.")}
from streamer.client import landmarks

# ${t("If this server has an access token, add: {option}", { option: 'token="…"' })}
for frame in landmarks("${origin}", "${id}"):
    for pose in frame.poses:
        print(frame.seq, "nose at", pose.landmarks[0][:2], pose.world[0])
`,
  },
  {
    name: "JavaScript",
    code: (origin, id) => `// ${t("In a page of this server: pages of other origins are refused.")}
import { landmarks } from "${origin}/client.js";

for await (const frame of landmarks("${id}")) {
  for (const pose of frame.poses) console.log(frame.seq, "nose at", pose.landmarks[0]);
}
`,
  },
  {
    name: "curl",
    code: (origin, id) => `# ${t("If this server has an access token, add: {option}", { option: BEARER })}
# ${t("State, size, frames a second, latency of the stream.")}
curl ${origin}/api/v1/streams/${id}

# ${t("Its landmarks as they come.")}
curl -N -H "Accept: text/event-stream" ${origin}/api/v1/streams/${id}/landmarks

# ${t("Another model, another overlay, while it runs.")}
curl -X PATCH -H "Content-Type: application/json" ${origin}/api/v1/streams/${id} \\
     -d '{"pose": {"model_complexity": 2}, "overlay": {"style": "landmarks"}}'
`,
  },
  {
    name: "curl (snapshot)",
    code: (origin, id) => `# ${t("If this server has an access token, add: {option}", { option: BEARER })}
# ${t("The picture now, with the poses drawn in; ?video=plain without them.")}
curl -o ${id}.jpg ${origin}/api/v1/streams/${id}/snapshot.jpg

# ${t("Publish the stream to an RTSP server too: a recorder, mediamtx, go2rtc.")}
curl -X PATCH -H "Content-Type: application/json" ${origin}/api/v1/streams/${id} \\
     -d '{"output": "rtsp://user:password@192.168.1.30:8554/${id}"}'
`,
  },
  {
    name: "<img>",
    code: (origin, id) => `<!-- ${t("In a page of this server: pages of other origins are refused.")} -->
<img src="${origin}/api/v1/streams/${id}/mjpeg?width=640" alt="${id}">
`,
  },
  {
    name: "Home Assistant",
    code: (origin, id) => `# ${t("Settings, Devices & services, Add integration, MJPEG IP Camera:")}
mjpeg_url: ${origin}/api/v1/streams/${id}/mjpeg?fps=10
still_image_url: ${origin}/api/v1/streams/${id}/snapshot.jpg
# ${t("If this server has an access token:")}
authentication: basic
username: streamer
password: TOKEN
`,
  },
];

/**
 * Shows the code for one stream.
 * @param {string} streamId
 */
export function openSnippets(streamId) {
  const code = element("code");
  const copied = element("span", { role: "status", class: "muted" });
  const tabs = element("div", { class: "tabs" });
  const dialog = element("dialog", { class: "wide", "aria-label": t("Code") });
  /** @param {Snippet} snippet */
  const choose = (snippet) => {
    code.textContent = snippet.code(location.origin + url("/").slice(0, -1), streamId);
    copied.textContent = "";
    for (const tab of tabs.children) {
      tab.setAttribute("aria-pressed", String(tab.textContent === snippet.name));
    }
  };
  for (const snippet of SNIPPETS) tabs.append(button(snippet.name, () => choose(snippet)));
  const copy = button(t("Copy"), () => void copyText(code, copied), { class: "primary" });
  const close = button(t("Close"), () => dialog.close());
  dialog.append(tabs, element("pre", { tabindex: "0" }, code));
  dialog.append(element("footer", {}, copied, copy, close));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  if (SNIPPETS[0]) choose(SNIPPETS[0]);
  dialog.showModal();
}

/**
 * Browsers give the clipboard to secure pages only; elsewhere the text is selected for Ctrl+C.
 * @param {HTMLElement} source
 * @param {HTMLElement} report
 */
export async function copyText(source, report) {
  if (isSecureContext) {
    await navigator.clipboard.writeText(source.textContent ?? "");
    report.textContent = t("copied");
  } else {
    getSelection()?.selectAllChildren(source);
    report.textContent = t("selected: press Ctrl+C");
  }
}
