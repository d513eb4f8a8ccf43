// Publishes as OBS does, with the library that OBS uses (libdatachannel, npm node-datachannel): two
// `sendonly` tracks, Opus (silent) and H.264, one POST with a bearer token, DELETE at the end.
//
//   node obs.mjs URL FILE [--token TOKEN]
//
// FILE: access units of H.264 (Annex B) at 30 fps, each after its length (u32, big endian). Ends when
// its input closes; prints a line of JSON for each state of the connection.

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import rtc from "node-datachannel";

const FPS = 30;
const MAX_FRAGMENT_BYTES = 1200;
const STREAM = "a-stream";

const tell = (news) => process.stdout.write(`${JSON.stringify(news)}\n`);

function readUnits(path) {
  const content = readFileSync(path);
  const units = [];
  for (let at = 0; at < content.length; ) {
    const end = at + 4 + content.readUInt32BE(at);
    units.push(content.subarray(at + 4, end));
    at = end;
  }
  return units;
}

function addTracks(peer) {
  const audio = new rtc.Audio("0", "SendOnly");
  audio.addOpusCodec(111);
  audio.addSSRC(1001, "obs", STREAM, `${STREAM}-audio`);
  peer.addTrack(audio);
  const video = new rtc.Video("1", "SendOnly");
  video.addH264Codec(96);
  video.addSSRC(1002, "obs", STREAM, `${STREAM}-video`);
  const track = peer.addTrack(video);
  const form = new rtc.RtpPacketizationConfig(1002, "obs", 96, 90_000);
  const packetizer = new rtc.H264RtpPacketizer("StartSequence", form, MAX_FRAGMENT_BYTES);
  packetizer.addToChain(new rtc.RtcpSrReporter(form));
  packetizer.addToChain(new rtc.RtcpNackResponder());
  track.setMediaHandler(packetizer);
  return { track, form };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { token: { type: "string" } },
});
const [url, file] = positionals;
const authorization = values.token ? { Authorization: `Bearer ${values.token}` } : {};
const units = readUnits(file);

const peer = new rtc.PeerConnection("obs", { iceServers: [] });
peer.onStateChange((state) => tell({ state }));
const gathered = new Promise((resolve) => {
  peer.onGatheringStateChange((state) => state === "complete" && resolve());
});
const { track, form } = addTracks(peer);
peer.setLocalDescription("offer");
await gathered;
const response = await fetch(url, {
  method: "POST",
  headers: { "Content-Type": "application/sdp", ...authorization },
  body: peer.localDescription().sdp,
});
const answer = await response.text();
if (response.status !== 201) throw new Error(`${response.status} ${answer}`);
peer.setRemoteDescription(answer, "answer");

const startedMs = performance.now();
let sent = 0;
const timer = setInterval(() => {
  while (sent < ((performance.now() - startedMs) / 1000) * FPS) {
    form.timestamp = (sent * 90_000) / FPS;
    if (track.isOpen()) track.sendMessageBinary(units[sent % units.length]);
    sent += 1;
  }
}, 1000 / FPS / 2);
process.stdin.on("end", async () => {
  clearInterval(timer);
  const location = new URL(response.headers.get("Location"), url);
  await fetch(location, { method: "DELETE", headers: authorization });
  peer.close();
  process.exit(0);
});
process.stdin.resume();
