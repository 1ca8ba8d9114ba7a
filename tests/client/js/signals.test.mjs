import assert from "node:assert/strict";
import { test } from "node:test";

import { Latency } from "../../../client/web/latency.js";
import { BANDS, Spectrum } from "../../../client/web/spectrum.js";

test("a full-scale tone stands in its own band at 0 dBFS, and nowhere else", () => {
  const spectrum = new Spectrum();
  let bands;
  for (let frame = 0; frame < 3; frame++) {
    const audio = new Int16Array(640);
    for (let i = 0; i < 320; i++) audio[2 * i + 1] = 32767 * Math.sin((2 * Math.PI * 2062.5 * (320 * frame + i)) / 16000);
    bands = spectrum.push(audio, 1, 2);
  }
  assert.ok(Math.abs(bands[16]) < 0.1, `${bands[16]} dBFS`);
  assert.ok(bands.every((level, band) => band === 16 || level < -60));
});

test("silence is far below everything", () => {
  assert.ok(new Spectrum().push(new Int16Array(640), 0, 2).every((level) => level < -130));
  assert.equal(new Spectrum().push(new Int16Array(640), 0, 2).length, BANDS);
});

test("latency runs from a frame to its cleaned audio, and from a ping to its own answer", () => {
  const latency = new Latency(320);
  const ping = latency.sent(0, 1000);
  assert.equal(ping.type, "duplex.ping");
  assert.equal(latency.sent(320, 1020), null);
  latency.cleaned(320, 1053);
  assert.equal(latency.cleanedMs, 33);
  latency.cleaned(320, 1063);
  assert.equal(latency.cleanedMs, 34);
  latency.pong({ ping_id: "somebody else's" }, 1070);
  assert.equal(latency.roundTripMs, null);
  latency.pong({ ping_id: ping.event_id }, 1004);
  assert.equal(latency.roundTripMs, 4);
  assert.notEqual(latency.sent(32000, 3000), null);
});
