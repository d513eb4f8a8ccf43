// /client.js: what it does when the server speaks, hangs up, ends, or is not there.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { allMessages, landmarks, messages } from "../../web/client.js";

const SERVER = "https://pose.lan/behind/a/proxy";
let sockets = [];

/** Speaks when the test says so. */
class FakeWebSocket extends EventTarget {
  constructor(address, protocol) {
    super();
    Object.assign(this, { address: String(address), protocol, closed: false });
    sockets.push(this);
    wake();
  }

  say(message) {
    this.dispatchEvent(Object.assign(new Event("message"), { data: JSON.stringify(message) }));
  }

  hangUp(code) {
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }

  close() {
    this.closed = true;
  }
}

let wake = () => {};
/** The connection of this number, once it is tried. */
async function socket(number) {
  while (sockets.length <= number) await new Promise((resolve) => { wake = resolve; });
  return sockets[number];
}

const pose = (seq) => ({ type: "pose", v: 1, seq, poses: [] });
const state = (word) => ({ type: "state", v: 1, state: word, detail: "" });

beforeEach(() => {
  sockets = [];
  globalThis.WebSocket = FakeWebSocket;
});
const { fetch } = globalThis;
afterEach(() => {
  globalThis.fetch = fetch;
  delete globalThis.WebSocket;
});

test("frames come from the server's address, whatever its prefix, in binary", async () => {
  const frames = landmarks("a door", { server: SERVER });
  const first = frames.next();
  const { address, protocol } = await socket(0);
  assert.equal(address, "wss://pose.lan/behind/a/proxy/api/v1/streams/a%20door/landmarks");
  assert.equal(protocol, "landmarks.v1+bin");
  sockets[0].say(state("live"));
  sockets[0].say(pose(4));
  assert.equal((await first).value.seq, 4);
  await frames.return();
  assert.ok(sockets[0].closed);
});

test("a lost connection is made again, and the end of the stream is the end", async () => {
  const heard = [];
  const reading = (async () => {
    for await (const message of messages("door", { server: SERVER })) {
      heard.push(message.type === "pose" ? message.seq : message.state);
    }
  })();
  (await socket(0)).say(pose(1));
  sockets[0].hangUp(1006);
  (await socket(1)).say(pose(7));
  sockets[1].say(state("ended"));
  sockets[1].hangUp(1000);
  await reading;
  assert.deepEqual(heard, [1, 7, "ended"]);
  assert.equal(sockets.length, 2);
});

test("which model runs is heard by those who want to hear everything", async () => {
  const model = { type: "model", v: 1, stream: "door", model_complexity: 0, wanted: 1, reason: "overload" };
  const options = { server: SERVER };
  for (const [read, expected] of [[allMessages, ["model", "pose"]], [messages, ["pose"]]]) {
    const heard = [];
    const at = sockets.length;
    const reading = (async () => {
      for await (const { type } of read("door", options)) heard.push(type);
    })();
    (await socket(at)).say(model);
    sockets[at].say(pose(1));
    sockets[at].hangUp(1000);
    await reading;
    assert.deepEqual(heard, expected);
  }
});

test("with a token each connection has a ticket of its own", async () => {
  const asked = [];
  globalThis.fetch = async (address, { method, headers, body, credentials }) => {
    asked.push({ address: String(address), method, token: headers.Authorization, body, credentials });
    return Response.json({ ticket: `t${asked.length}`, expires_in_s: 30 }, { status: 201 });
  };
  const frames = landmarks("door", { server: SERVER, token: "st-1" });
  const first = frames.next();
  assert.match((await socket(0)).address, /^wss:.*\/landmarks\?ticket=t1$/);
  sockets[0].say(pose(1));
  await first;
  const second = frames.next();
  sockets[0].hangUp(1006);
  assert.match((await socket(1)).address, /\/landmarks\?ticket=t2$/);
  assert.deepEqual(asked[0], {
    address: `${SERVER}/api/v1/tickets`,
    method: "POST",
    token: "Bearer st-1",
    body: '{"path":"/api/v1/streams/door/landmarks"}',
    credentials: "omit",
  });
  sockets[1].hangUp(1008);
  await assert.rejects(second, /access to this stream has ended/);
});

test("a token that the server refuses is an error with its words", async () => {
  globalThis.fetch = async () => Response.json({ detail: "That is not one." }, { status: 401 });
  await assert.rejects(landmarks("door", { server: SERVER, token: "x" }).next(), /not one/);
  assert.equal(sockets.length, 0);
});

test("a stream that was never there is an error, not an endless wait", async () => {
  const first = landmarks("nobody", { server: SERVER }).next();
  (await socket(0)).hangUp(1006);
  await assert.rejects(first, /is the id right/);
});

test("who does not want to come back is told of the loss", async () => {
  const frames = landmarks("door", { server: SERVER, reconnect: false });
  const first = frames.next();
  (await socket(0)).say(pose(1));
  await first;
  const second = frames.next();
  sockets[0].hangUp(1006);
  await assert.rejects(second, /connection is lost/);
});

test("the signal ends it", async () => {
  const stop = new AbortController();
  const frames = landmarks("door", { server: SERVER, signal: stop.signal });
  const first = frames.next();
  await socket(0);
  stop.abort();
  assert.equal((await first).done, true);
  assert.ok(sockets[0].closed);
});

test("connections that are over are not kept by a signal that goes on", async () => {
  const { signal } = new AbortController();
  const frames = landmarks("door", { server: SERVER, signal });
  for (let number = 0; number < 3; number++) {
    const next = frames.next();
    (await socket(number)).say(pose(number));
    await next;
    assert.equal(getEventListeners(signal, "abort").length, 1);
    sockets[number].hangUp(1006);
  }
  assert.equal(getEventListeners(signal, "abort").length, 0);
  await frames.return();
});

test("a slow reader loses the oldest poses and no state", async () => {
  const read = messages("door", { server: SERVER });
  const first = read.next();
  (await socket(0)).say(state("live"));
  await first;
  sockets[0].say(state("reconnecting"));
  for (let seq = 0; seq < 40; seq++) sockets[0].say(pose(seq));
  assert.equal((await read.next()).value.state, "reconnecting");
  assert.equal((await read.next()).value.seq, 9); // 32 wait: one state and 31 poses
  await read.return();
});
