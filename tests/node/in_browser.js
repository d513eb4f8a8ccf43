// WHIP and WHEP clients of npm in a browser, each published and played in a line: what
// tests/e2e/test_interop.py calls. `npm` is the page's (tests/rigs/npm.py); Eyevinn's packages are
// CommonJS, whip-whep is a module beside this one.

import { WHEPClient } from "./whep.js";
import { WHIPClient } from "./whip.js";

const NO_SERVERS = []; // else Eyevinn's ask a public STUN server
const video = document.querySelector("video");

/** The client that runs, by its end: `await running.stop()`. */
let running = null;

const openCamera = () => navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });

const clients = {
  "whip-whep": {
    async publish(url, token) {
      const camera = await openCamera();
      const peer = new RTCPeerConnection();
      for (const track of camera.getTracks()) {
        peer.addTransceiver(track, { direction: "sendonly", streams: [camera] });
      }
      const client = new WHIPClient();
      await client.publish(peer, url, token);
      return client;
    },
    async play(url, token) {
      const peer = new RTCPeerConnection();
      peer.addTransceiver("video", { direction: "recvonly" });
      peer.ontrack = ({ track }) => (video.srcObject = new MediaStream([track]));
      const client = new WHEPClient();
      await client.view(peer, url, token);
      return client;
    },
  },

  eyevinn: {
    async publish(url, token) {
      const camera = await openCamera();
      const { WHIPClient: Client } = window.npm("@eyevinn/whip-web-client");
      const client = new Client({ endpoint: url, opts: { authkey: token, iceServers: NO_SERVERS } });
      await client.ingest(camera);
      return { stop: () => client.destroy() };
    },
    async play(url, token) {
      const { WebRTCPlayer } = window.npm("@eyevinn/webrtc-player");
      const player = new WebRTCPlayer({ video, type: "whep", iceServers: NO_SERVERS });
      await player.load(new URL(url), token && `Bearer ${token}`);
      return { stop: () => player.unload() };
    },
  },
};

window.publish = async (name, url, token) => {
  running = await clients[name].publish(url, token);
};
window.play = async (name, url, token) => {
  running = await clients[name].play(url, token);
};
window.stop = () => running.stop();
