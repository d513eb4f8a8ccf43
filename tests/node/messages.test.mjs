// The samples of tests/samples against the JSON Schema, and as the pages' own module reads them.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import Ajv from "ajv/dist/2020.js";
import { parseMessage } from "../../web/client.js";

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const SAMPLES = read("../samples/messages.json");
const fits = new Ajv({ strict: true, strictTuples: false }) // tuples are closed by minItems and maxItems
  .compile(read("../../docs/messages.schema.json"));

for (const { name, valid, message } of SAMPLES) {
  test(`${name} ${valid ? "fits" : "does not fit"} the schema`, () => {
    assert.equal(fits(message), valid, JSON.stringify(fits.errors));
  });
}

for (const { name, message } of SAMPLES.filter(({ valid }) => valid)) {
  test(`${name} is read as it is`, () => {
    assert.deepEqual(parseMessage(JSON.stringify(message), "door"), message);
  });
}

for (const { name, message, binary } of SAMPLES.filter((sample) => sample.binary)) {
  test(`${name} in binary is the same message`, () => {
    const { buffer } = Uint8Array.from(Buffer.from(binary, "base64"));
    const decoded = parseMessage(buffer, "door");
    assert.deepEqual(rounded(decoded), message);
    assert.ok(fits(decoded), JSON.stringify(fits.errors));
  });
}

/** As the server rounds its JSON form. */
function rounded(message) {
  const to = (digits) => (value) => Number(value.toFixed(digits)) + 0;
  const rows = (table, digitsOf) => table.map((row) => row.map((value, i) => to(digitsOf(i))(value)));
  return {
    ...message,
    latency_ms: Object.fromEntries(
      Object.entries(message.latency_ms).map(([stage, ms]) => [stage, to(2)(ms)]),
    ),
    poses: message.poses.map((pose) => ({
      ...pose,
      score: to(3)(pose.score),
      landmarks: rows(pose.landmarks, (i) => (i < 3 ? 5 : 3)),
      ...(pose.raw && { raw: rows(pose.raw, (i) => (i < 3 ? 5 : 3)) }),
      world: rows(pose.world, () => 4),
    })),
  };
}
