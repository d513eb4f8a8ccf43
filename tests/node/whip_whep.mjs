// Publishes a real person with a standard WHIP client and plays the stream back with a standard
// WHEP client (npm whip-whep on real libwebrtc, @roamhq/wrtc), then prints what came as one line
// of JSON: {published, played, frames, messages, poses, firstFrameMs, size}. `published` and
// `played` are the connection states, `poses` counts the messages that found somebody.
//
//   node whip_whep.mjs BASE STREAM_ID SECONDS --clip person_320x240.yuv [--token TOKEN]
//
// The clip is raw I420 at 30 fps; its size stands in its name.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import wrtc from "@roamhq/wrtc";

/** The package does not say that its files are modules; Node before 20.19 takes them for scripts. */
function importModule(name) {
  const source = readFileSync(createRequire(import.meta.url).resolve(name));
  return import(`data:text/javascript;base64,${source.toString("base64")}`);
}

const FPS = 30;
const TIMEOUT_MS = 15_000;

// The clients expect a browser's globals; they are loaded when these exist.
const { RTCPeerConnection, MediaStream } = wrtc;
Object.assign(globalThis, { RTCPeerConnection, MediaStream });
const { WHIPClient } = await importModule("whip-whep/whip.js");
const { WHEPClient } = await importModule("whip-whep/whep.js");

/** Returns a track that plays the clip in a loop, and a function that ends it. */
function openClip(path) {
  const size = /(\d+)x(\d+)\.yuv$/.exec(path);
  if (!size) throw new Error(`${path}: the name must end in WIDTHxHEIGHT.yuv`);
  const [width, height] = [Number(size[1]), Number(size[2])];
  const frameBytes = (width * height * 3) / 2;
  const content = readFileSync(path);
  const frames = Math.floor(content.length / frameBytes);
  const source = new wrtc.nonstandard.RTCVideoSource();
  const startedMs = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    // By the clock, since timers run late: the rate stays 30 fps over time.
    while (sent < ((performance.now() - startedMs) / 1000) * FPS) {
      const start = (sent % frames) * frameBytes;
      const data = new Uint8ClampedArray(content.subarray(start, start + frameBytes));
      source.onFrame({ width, height, data });
      sent += 1;
    }
  }, 1000 / FPS / 2);
  const track = source.createTrack();
  const stop = () => {
    clearInterval(timer);
    track.stop();
  };
  return { track, stop };
}

/** Resolves with "connected"; rejects when the peer fails or takes too long. */
function connected(peer) {
  return new Promise((resolve, reject) => {
    const check = () => {
      if (peer.connectionState === "connected") resolve(peer.connectionState);
      if (peer.connectionState === "failed") reject(new Error("the peer connection failed"));
    };
    peer.addEventListener("connectionstatechange", check);
    check();
    setTimeout(() => reject(new Error(`${peer.connectionState} for too long`)), TIMEOUT_MS).unref();
  });
}

async function publish(url, track, token) {
  const peer = new RTCPeerConnection();
  peer.addTransceiver(track, { direction: "sendonly", streams: [new MediaStream([track])] });
  const client = new WHIPClient();
  await client.publish(peer, url, token);
  return { client, state: await connected(peer) };
}

async function play(url, token) {
  const seen = { frames: 0, messages: 0, poses: 0, firstFrameMs: null, size: null };
  const askedMs = performance.now();
  const peer = new RTCPeerConnection();
  peer.addTransceiver("video", { direction: "recvonly" });
  const channel = peer.createDataChannel("landmarks", { ordered: false, maxRetransmits: 0 });
  channel.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type !== "pose") return;
    seen.messages += 1;
    if (message.poses.length > 0) seen.poses += 1;
  };
  const firstFrame = new Promise((resolve) => {
    peer.ontrack = ({ track }) => {
      const sink = new wrtc.nonstandard.RTCVideoSink(track);
      sink.onframe = ({ frame }) => {
        seen.firstFrameMs ??= Math.round(performance.now() - askedMs);
        seen.frames += 1;
        seen.size = `${frame.width}x${frame.height}`;
        resolve();
      };
    };
  });
  const client = new WHEPClient();
  await client.view(peer, url, token);
  return { client, seen, firstFrame, state: await connected(peer) };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { clip: { type: "string" }, token: { type: "string" } },
});
const [base, stream, seconds] = positionals;
if (!seconds || !values.clip) throw new Error("usage: BASE STREAM_ID SECONDS --clip FILE.yuv");

const clip = openClip(values.clip);
const publisher = await publish(`${base}/whip/${stream}`, clip.track, values.token);
const viewer = await play(`${base}/whep/${stream}`, values.token);
await Promise.race([viewer.firstFrame, sleep(TIMEOUT_MS)]);
await sleep(Number(seconds) * 1000);
await viewer.client.stop();
await publisher.client.stop();
clip.stop();
const result = { published: publisher.state, played: viewer.state, ...viewer.seen };
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0)); // wrtc's threads remain
