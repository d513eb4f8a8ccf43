// Code that reads a stream from another program, ready to copy.

import { button, element } from "./dom.js";

/** @typedef {{name: string, code: (origin: string, id: string) => string}} Snippet */

/** @type {Snippet[]} */
const SNIPPETS = [
  {
    name: "curl",
    code: (origin, id) => `# State, size, frames a second, latency of the stream.
# If this server has an access token, add: -H "Authorization: Bearer TOKEN"
curl ${origin}/api/v1/streams/${id}
`,
  },
  {
    name: "Python",
    code: (origin, id) => `# pip install aiohttp aiortc
import asyncio, json
import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole

async def main():
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    sink = MediaBlackhole()  # or read the pictures: await track.recv()
    peer.on("track", sink.addTrack)
    channel = peer.createDataChannel("landmarks", ordered=False, maxRetransmits=0)

    @channel.on("message")
    def on_message(text):
        message = json.loads(text)
        if message["type"] == "pose":
            for pose in message["poses"]:
                print(message["seq"], "nose at", pose["landmarks"][0][:2])

    await peer.setLocalDescription(await peer.createOffer())
    # If this server has an access token, add to headers: "Authorization": "Bearer TOKEN"
    headers = {"Content-Type": "application/sdp"}
    url = "${origin}/whep/${id}"
    offer = peer.localDescription.sdp
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as http:
        async with http.post(url, data=offer) as reply:
            answer = await reply.text()
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await sink.start()
    await asyncio.Event().wait()

asyncio.run(main())
`,
  },
  {
    name: "JavaScript",
    code: (origin, id) => `// In a page of this server: pages of other origins are refused.
const peer = new RTCPeerConnection();
peer.addTransceiver("video", { direction: "recvonly" });
peer.ontrack = ({ track }) => {
  document.querySelector("video").srcObject = new MediaStream([track]);
};
const channel = peer.createDataChannel("landmarks", { ordered: false, maxRetransmits: 0 });
channel.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.type === "pose") console.log(message.seq, message.poses[0]?.landmarks);
};
await peer.setLocalDescription();
await new Promise((done) => {
  peer.onicecandidate = ({ candidate }) => candidate ?? done();
});
const reply = await fetch("${origin}/whep/${id}", {
  method: "POST",
  headers: { "Content-Type": "application/sdp" },
  body: peer.localDescription.sdp,
});
await peer.setRemoteDescription({ type: "answer", sdp: await reply.text() });
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
  const dialog = element("dialog", { class: "wide", "aria-label": "Code" });
  /** @param {Snippet} snippet */
  const choose = (snippet) => {
    code.textContent = snippet.code(location.origin, streamId);
    copied.textContent = "";
    for (const tab of tabs.children) {
      tab.setAttribute("aria-pressed", String(tab.textContent === snippet.name));
    }
  };
  for (const snippet of SNIPPETS) tabs.append(button(snippet.name, () => choose(snippet)));
  const copy = button("Copy", () => void copyText(code, copied), { class: "primary" });
  const close = button("Close", () => dialog.close());
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
    report.textContent = "copied";
  } else {
    getSelection()?.selectAllChildren(source);
    report.textContent = "selected: press Ctrl+C";
  }
}
