// Opens the webcam page in Firefox, driven over WebDriver BiDi, and prints what the page shows as
// one line of JSON: {state, stateText, width, height, frames, messages, rows, errors}. `frames` and
// `messages` are counted over SECONDS after the first returned picture, `rows` are the
// landmark table's rows that show something.
//
//   node firefox.mjs URL CLIP.webm SECONDS [--screenshot FILE.png]
//
// Firefox's own fake camera shows a test pattern only, so getUserMedia is replaced by the captured
// video of a clip with a person. The page's policy lets it load nothing from elsewhere, so the clip
// goes in as data.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import puppeteer from "puppeteer-core";

const TIMEOUT_MS = 45_000;
const EXECUTABLE = process.env.STREAMER_TEST_FIREFOX ?? "/usr/bin/firefox-esr";

// A camera without a question, and no traffic of the browser's own.
const PREFERENCES = {
  "app.normandy.enabled": false,
  "app.update.enabled": false,
  "browser.region.network.url": "",
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.getAddons.cache.enabled": false,
  "media.autoplay.default": 0,
  "media.gmp-manager.updateEnabled": false,
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "media.peerconnection.ice.loopback": true,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "",
};

/** Runs in the page: the camera becomes the clip. */
function replaceCamera(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const clipUrl = URL.createObjectURL(new Blob([bytes], { type: "video/webm" }));
  const open = async () => {
    const clip = document.createElement("video");
    clip.src = clipUrl;
    clip.loop = true;
    clip.muted = true;
    await clip.play();
    window.clipInTest = clip; // held, or it could be collected while it plays
    return clip.mozCaptureStream();
  };
  navigator.mediaDevices.getUserMedia = open;
}

/** Runs in the page: counts the pictures that the returned video shows. */
function countFrames() {
  const video = document.querySelector("#video");
  window.framesInTest = 0;
  const count = () => {
    window.framesInTest += 1;
    video.requestVideoFrameCallback(count);
  };
  video.requestVideoFrameCallback(count);
}

/** Runs in the page: what a person would see, and the counters. */
function look() {
  const video = document.querySelector("#video");
  const state = document.querySelector("#state");
  const cells = [...document.querySelectorAll("#landmarks tr[data-index]")];
  return {
    state: state.dataset.state,
    stateText: state.textContent.trim(),
    width: video.videoWidth,
    height: video.videoHeight,
    frames: window.framesInTest,
    messages: window.streamer.messages,
    rows: cells.filter((row) => /\d\.\d/.test(row.textContent)).length,
  };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { screenshot: { type: "string" } },
});
const [url, clipPath, seconds] = positionals;
if (!seconds) throw new Error("usage: URL CLIP.webm SECONDS [--screenshot FILE.png]");

const browser = await puppeteer.launch({
  browser: "firefox",
  executablePath: EXECUTABLE,
  headless: true,
  extraPrefsFirefox: PREFERENCES,
});
try {
  const page = await browser.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => line.type() === "error" && errors.push(line.text()));
  await page.goto(url);
  await page.evaluate(replaceCamera, readFileSync(clipPath).toString("base64"));
  await page.evaluate(countFrames);
  await page.click("#start");
  const shown = "document.querySelector('#video').videoWidth > 0 && window.streamer.messages > 0";
  await page.waitForFunction(shown, { timeout: TIMEOUT_MS });
  const before = await page.evaluate(look);
  await sleep(Number(seconds) * 1000);
  const after = await page.evaluate(look);
  if (values.screenshot) await page.screenshot({ path: values.screenshot });
  const result = {
    ...after,
    frames: after.frames - before.frames,
    messages: after.messages - before.messages,
    errors,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  await browser.close();
}
