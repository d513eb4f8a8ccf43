// The clocks of stream, packets, camera and server, brought together.

import assert from "node:assert/strict";
import { test } from "node:test";
import { StreamClock } from "../../web/clock.js";

const TIME_ORIGIN_MS = 1_760_000_000_000; // performance.now() counts from here
const UNKNOWN = { pts: null, captured_ms: null, message: null, epoch: 1 };

/** A clock that has heard these messages, all at once unless told otherwise. */
function clockAfter(...messages) {
  const clock = new StreamClock(TIME_ORIGIN_MS);
  for (const { at_ms = 1000, ...message } of messages) {
    clock.note({ type: "clock", t: (TIME_ORIGIN_MS + at_ms) / 1000, ...message }, at_ms);
  }
  return clock;
}

test("a packet's time is the stream's once the origin is known", () => {
  assert.equal(clockAfter().ptsOfPacket(5000, 0), null);
  const clock = clockAfter({ rtp_origin: 2000 });
  assert.equal(clock.ptsOfPacket(5000, 2900), 3000);
  assert.equal(clock.ptsOfPacket(1000, 0), -1000);
  assert.equal(clock.ptsOfPacket(null, 0), null);
});

test("packet times run over 32 bits and the stream's go on", () => {
  const clock = clockAfter({ rtp_origin: 2 ** 32 - 1000 });
  assert.equal(clock.ptsOfPacket(2000, 2500), 3000);
  const days = 3 * 2 ** 32;
  assert.equal(clock.ptsOfPacket(2000, days + 2500), days + 3000);
  assert.equal(clock.ptsOfPacket(2000, days + 3500), days + 3000);
});

test("around the middle of the range the nearest time counts, ahead or behind", () => {
  const clock = clockAfter({ rtp_origin: 0 });
  const near = 5 * 2 ** 32 - 45;
  assert.equal(clock.ptsOfPacket(0, near), 5 * 2 ** 32);
  assert.equal(clock.ptsOfPacket(2 ** 32 - 90, near), 5 * 2 ** 32 - 90);
});

test("a new origin replaces the old one", () => {
  const clock = clockAfter({ rtp_origin: 2000 }, { rtp_origin: 90_000 });
  assert.equal(clock.ptsOfPacket(93_000, 0), 3000);
});

const REPORT = { epoch: 1, ntp: (TIME_ORIGIN_MS + 500) / 1000, rtp: 1, pts: 90_000 };

test("a camera frame's time of capture gives its time on the stream", () => {
  const clock = clockAfter(REPORT);
  assert.equal(clock.ptsOfCapture(500, 1), 90_000);
  assert.equal(clock.ptsOfCapture(533.3, 1), 90_000 + 2997);
  assert.equal(clock.ptsOfCapture(400, 1), 81_000);
});

test("a report tells nothing of another epoch", () => {
  const clock = clockAfter(REPORT);
  assert.equal(clock.ptsOfCapture(500, 2), null);
  clock.note({ ...REPORT, type: "clock", t: 0, epoch: 2, pts: 180_000 }, 0);
  assert.equal(clock.ptsOfCapture(500, 1), null);
  assert.equal(clock.ptsOfCapture(500, 2), 180_000);
});

test("one report that is off does not move the clock", () => {
  const late = { ...REPORT, ntp: (TIME_ORIGIN_MS + 520) / 1000 };
  const clock = clockAfter(REPORT, REPORT, late, REPORT);
  assert.equal(clock.ptsOfCapture(500, 1), 90_000);
});

test("the offset to the server's clock is that of the quickest message", () => {
  const behind = { t: (TIME_ORIGIN_MS + 1000 - 5000) / 1000 }; // the server's clock is 5 s behind
  assert.equal(clockAfter().offset_ms, null);
  const clock = clockAfter(
    { ...behind, at_ms: 1040 },
    { ...behind, at_ms: 1010 },
    { ...behind, at_ms: 1090 },
  );
  for (const roundTrip_ms of [300, 20, 80]) clock.noteRoundTrip(roundTrip_ms);
  assert.ok(Math.abs(clock.offset_ms - 5000) < 0.01);
});

test("old offsets are forgotten, as clocks drift", () => {
  const early = { t: (TIME_ORIGIN_MS + 900) / 1000, at_ms: 800 };
  const rest = Array.from({ length: 12 }, () => ({}));
  assert.ok(Math.abs(clockAfter(early, ...rest).offset_ms) < 0.01);
});

test("latency runs from the camera's capture where it is known", () => {
  const clock = clockAfter({ ...REPORT, rtp_origin: 0 });
  assert.deepEqual(clock.latencyOf({ ...UNKNOWN, shown_ms: 560, pts: 90_000 }), {
    ms: 60,
    from: "capture",
  });
  assert.deepEqual(clock.latencyOf({ ...UNKNOWN, shown_ms: 560, captured_ms: 530 }), {
    ms: 30,
    from: "capture",
  });
});

test("else it runs from the arrival at the server, in this computer's time", () => {
  const t = (TIME_ORIGIN_MS + 1000 - 5000) / 1000;
  const clock = clockAfter({ t, at_ms: 1000 });
  const message = { epoch: 1, received_at: t + 0.25 };
  const latency = clock.latencyOf({ ...UNKNOWN, shown_ms: 1300, pts: 90_000, message });
  assert.equal(latency.from, "arrival");
  assert.ok(Math.abs(latency.ms - 50) < 0.01);
});

test("without a clock there is no latency", () => {
  const message = { epoch: 1, received_at: TIME_ORIGIN_MS / 1000 };
  const clock = new StreamClock(TIME_ORIGIN_MS);
  assert.equal(clock.latencyOf({ ...UNKNOWN, shown_ms: 1300, pts: 5, message }), null);
  assert.equal(clockAfter({}).latencyOf({ ...UNKNOWN, shown_ms: 1300, pts: 5 }), null);
});
