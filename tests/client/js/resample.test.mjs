import assert from "node:assert/strict";
import { test } from "node:test";

import { Resampler } from "../../../client/web/resample.js";

function sine(hz, rate, seconds = 0.5) {
  return Float32Array.from({ length: rate * seconds }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate));
}

function inChunks(resampler, audio, size) {
  const out = [];
  for (let i = 0; i < audio.length; i += size) out.push(...resampler.push(audio.subarray(i, i + size)));
  return Float32Array.from(out);
}

function levelDb(audio) {
  const settled = audio.subarray(200);
  return 10 * Math.log10(2 * settled.reduce((sum, x) => sum + x * x, 0) / settled.length + 1e-12);
}

test("at 16 kHz nothing is changed", () => {
  const audio = sine(440, 16000);
  assert.equal(new Resampler(16000, 16000).push(audio), audio);
});

for (const rate of [22050, 32000, 44100, 48000, 96000]) {
  test(`${rate} Hz: speech passes, what would alias does not`, () => {
    const through = (hz) => levelDb(inChunks(new Resampler(rate, 16000), sine(hz, rate), 128));
    for (const hz of [100, 1000, 4000, 6500]) assert.ok(Math.abs(through(hz)) < 0.1, `${hz} Hz: ${through(hz)} dB`);
    const alias = Math.min(9500, rate / 2 - 200);
    assert.ok(through(alias) < -60, `${alias} Hz: ${through(alias)} dB`);
  });

  test(`${rate} Hz: as many samples as the ratio says, in any chunks`, () => {
    const audio = sine(700, rate);
    const expected = inChunks(new Resampler(rate, 16000), audio, audio.length);
    assert.ok(Math.abs(expected.length - 8000) <= 1);
    for (const size of [1, 128, 1000]) assert.deepEqual(inChunks(new Resampler(rate, 16000), audio, size), expected);
  });

  test(`${rate} Hz: the wave keeps its shape and its place`, () => {
    const out = inChunks(new Resampler(rate, 16000), sine(1000, rate), 128);
    const delay = Math.ceil((33 * rate) / 16000) / rate; // half of the filter, in seconds
    for (let i = 200; i < out.length; i++) {
      const exact = Math.sin(2 * Math.PI * 1000 * (i / 16000 - delay));
      assert.ok(Math.abs(out[i] - exact) < 0.02, `sample ${i}: ${out[i]}, not ${exact}`);
    }
  });
}

for (const rate of [22050, 44100, 48000]) {
  test(`16000 to ${rate} Hz: the wave keeps its shape and its place`, () => {
    const out = inChunks(new Resampler(16000, rate), sine(1000, 16000), 320);
    assert.ok(Math.abs(out.length - rate / 2) <= 3);
    for (let i = 400; i < out.length; i++) {
      const exact = Math.sin(2 * Math.PI * 1000 * (i / rate - 33 / 16000));
      assert.ok(Math.abs(out[i] - exact) < 0.02, `sample ${i}: ${out[i]}, not ${exact}`);
    }
  });
}

test("a telephone's 8 kHz become 16 kHz, in any chunks", () => {
  const audio = sine(700, 8000);
  const expected = inChunks(new Resampler(8000, 16000), audio, audio.length);
  assert.equal(expected.length, 8000);
  for (const size of [1, 128, 1000]) assert.deepEqual(inChunks(new Resampler(8000, 16000), audio, size), expected);
});

test("no rate is refused", () => assert.throws(() => new Resampler(8000, 0), RangeError));
