import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  HEADER_BYTES,
  KIND,
  WireError,
  closeReason,
  packFrame,
  serviceUrl,
  subprotocols,
  unpackFrame,
} from "../../../client/web/protocol.js";

const golden = JSON.parse(readFileSync(new URL("../../golden/protocol.json", import.meta.url), "utf8"));

function bytes(hex) {
  return Uint8Array.from(Buffer.from(hex, "hex")).buffer;
}

function hex(buffer) {
  return Buffer.from(buffer).toString("hex");
}

/** Fields and audio of a golden frame as the page names them. */
function frameOf({ fields, audio }) {
  const { kind, flags, seq, samples, channels, ms } = fields;
  const interleaved = Int16Array.from({ length: samples * channels }, (_, i) => audio[i % channels][Math.floor(i / channels)]);
  return { kind, flags, seq, micStart: fields.mic_start, refStart: fields.ref_start, samples, channels, audio: interleaved, ms };
}

test("there are golden frames of every kind", () => {
  assert.deepEqual(new Set(golden.frames.map(({ fields }) => fields.kind)), new Set(Object.values(KIND)));
});

for (const vector of golden.frames) {
  test(`packs: ${vector.name}`, () => assert.equal(hex(packFrame(frameOf(vector))), vector.hex));
  test(`unpacks: ${vector.name}`, () => assert.deepEqual(unpackFrame(bytes(vector.hex)), frameOf(vector)));
}

const UNREADABLE = /version|codec|header|empty|payload/; // the rest are rules for clients, which the server holds

for (const vector of golden.bad_frames.filter(({ name }) => UNREADABLE.test(name))) {
  test(`refuses: ${vector.name}`, () => assert.throws(() => unpackFrame(bytes(vector.hex)), WireError));
}

test("a payload that does not fit the header is refused", () => {
  const whole = bytes(golden.frames[0].hex);
  for (const size of [HEADER_BYTES, whole.byteLength - 1, whole.byteLength - 2]) {
    assert.throws(() => unpackFrame(whole.slice(0, size)), WireError);
  }
});

test("audio that is not samples x channels is not packed", () => {
  const frame = frameOf(golden.frames[0]);
  assert.throws(() => packFrame({ ...frame, samples: frame.samples - 1 }), RangeError);
});

test("seq and ms wrap at 32 bits", () => {
  const frame = frameOf(golden.frames[0]);
  const read = unpackFrame(packFrame({ ...frame, seq: 2 ** 32 + 5, ms: 2 ** 32 + 6 }));
  assert.deepEqual([read.seq, read.ms], [5, 6]);
});

test("the socket is on the origin of the page, and its token in no address", () => {
  const at = (href) => serviceUrl(new URL(href));
  assert.equal(at("http://localhost:8080/"), "ws://localhost:8080/v1/realtime");
  assert.equal(at("https://a.example/?lang=en"), "wss://a.example/v1/realtime");
  assert.equal(at("https://a.example/#token=ab"), "wss://a.example/v1/realtime");
  assert.equal(serviceUrl(new URL("https://a.example/?lang=en"), "sess_b-1_5f2c"), "wss://a.example/v1/realtime?session=sess_b-1_5f2c");
  const offers = (href) => subprotocols(new URL(href));
  assert.deepEqual(offers("https://a.example/#token=a-b_c.d~e"), ["duplex.v1", "openai-insecure-api-key.a-b_c.d~e"]);
  assert.deepEqual(offers("https://a.example/"), ["duplex.v1"]);
  assert.deepEqual(offers("https://a.example/#token=a%20b"), ["duplex.v1"], "nothing that a socket throws at");
});

test("close codes are explained, and what the server says is kept", () => {
  assert.match(closeReason(4401, ""), /token/);
  assert.match(closeReason(1013, "retry_after=5"), /full.*retry_after=5/);
  assert.match(closeReason(3999, ""), /3999/);
});
