import assert from "node:assert/strict";
import { test } from "node:test";

import { Recorder } from "../../../client/web/recorder.js";

async function read(recorder) {
  const view = new DataView(await recorder.wav().arrayBuffer());
  const samples = Array.from({ length: (view.byteLength - 44) / 2 }, (_, i) => view.getInt16(44 + 2 * i, true));
  const side = (channel) => samples.filter((_, i) => i % 2 === channel);
  return { view, left: side(0), right: side(1) };
}

const cleaned = (micStart, audio) => ({ micStart, channels: 2, audio: Int16Array.from(audio) });

test("left is the microphone, right the cleaned signal, on the microphone's clock", async () => {
  const recorder = new Recorder(16000);
  recorder.addSent(0, Int16Array.of(1, -1, 2, -2, 3, -3));
  recorder.addSent(3, Int16Array.of(4, -4, 5, -5, 6, -6));
  assert.ok(recorder.empty);
  recorder.addCleaned(cleaned(2, [70, 7, 80, 8]));
  const { view, left, right } = await read(recorder);
  assert.deepEqual(left, [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(right, [0, 0, 7, 8, 0, 0]);
  assert.equal(view.getUint32(24, true), 16000);
  assert.equal(view.getUint16(22, true), 2);
  assert.equal(view.getUint32(40, true), view.byteLength - 44);
});

test("it ends after ten minutes and keeps what it has", async () => {
  const recorder = new Recorder(10);
  recorder.addSent(5998, Int16Array.of(1, 0, 2, 0));
  recorder.addSent(6000, Int16Array.of(3, 0));
  recorder.addCleaned(cleaned(7000, [9, 9]));
  assert.equal((await read(recorder)).left.length, 6000);
});
