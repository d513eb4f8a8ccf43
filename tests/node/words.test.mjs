// What the pages say of a stream, by what the server tells of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { streamStatus } from "../../web/words.js";

const report = (kind, detail = "a sentence") => ({ detail, kind, retry_in_s: null, attempt: 0 });
const shown = (state, kind) => {
  const { state: pageState, words } = streamStatus(state, report(kind));
  return [pageState, words];
};

test("a live stream is live", () => {
  assert.deepEqual(shown("live", ""), ["live", "live"]);
});

test("one whose poses don't come says what is done about it", () => {
  assert.deepEqual(shown("live", "estimator-replaced"), ["waiting", "restarting the pose engine"]);
  assert.deepEqual(shown("live", "estimator-silent"), ["waiting", "waiting for the pose engine"]);
  assert.deepEqual(shown("live", "of-a-later-version"), ["waiting", "waiting for poses"]);
});

test("a video that is read anew is another thing than one whose readers keep dying", () => {
  assert.deepEqual(shown("reconnecting", "worker-died"), ["reconnecting", "reading the video anew"]);
  assert.deepEqual(shown("failed", "worker-died"), ["failed", "no video: its reader keeps dying"]);
});

test("one whose estimators keep dying has failed", () => {
  assert.deepEqual(shown("failed", "estimator-failed"), ["failed", "no poses: estimator failed"]);
});
