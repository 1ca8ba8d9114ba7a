import assert from "node:assert/strict";
import { before, test } from "node:test";

const QUANTUM = 128;
let Processor;

before(async () => {
  globalThis.sampleRate = 16000;
  globalThis.AudioWorkletProcessor = class {
    port = { sent: [], postMessage: (message) => this.port.sent.push(message) };
  };
  globalThis.registerProcessor = (_, made) => (Processor = made);
  await import("../../../client/web/worklet.js");
});

const CLIP = Float32Array.from({ length: 4000 }, (_, i) => 0.5 * Math.sin(i / 3));

function make() {
  const processor = new Processor({ processorOptions: { rate: 16000, frame: 320 } });
  processor.port.onmessage({ data: { clip: CLIP } });
  return processor;
}

/** Run some quanta; return what was heard, with a microphone that counts samples. */
function run(processor, quanta, from = 0) {
  const heard = [];
  for (let q = from; q < from + quanta; q++) {
    const mic = Float32Array.from({ length: QUANTUM }, (_, i) => (q * QUANTUM + i) / 32768);
    const out = new Float32Array(QUANTUM);
    processor.process([[mic]], [[out]]);
    heard.push(...out);
  }
  return Float32Array.from(heard);
}

function frames(processor) {
  const audio = processor.port.sent.flatMap((message) => [...message.audio]);
  return { mic: audio.filter((_, i) => i % 2 === 0), ref: audio.filter((_, i) => i % 2 === 1) };
}

test("frames hold 20 ms of microphone and of what was played in it", () => {
  const processor = make();
  processor.port.onmessage({ data: { volume: 1 } });
  const heard = run(processor, 50);
  const { mic, ref } = frames(processor);
  assert.ok(processor.port.sent.every(({ audio }) => audio.length === 640));
  assert.equal(mic.length, 6400);
  assert.deepEqual(mic, [...mic.keys()]);
  assert.deepEqual(ref, [...heard.subarray(0, 6400)].map((x) => Math.round(32768 * x) + 0));
});

test("the agent is silent until it may talk", () => {
  const processor = make();
  assert.ok(run(processor, 20).every((x) => x === 0));
  assert.equal(processor.port.sent.at(-1).clipMs, 0);
});

test("volume changes without a jump, and a paused clip goes on where it stopped", () => {
  const processor = make();
  processor.port.onmessage({ data: { volume: 1 } });
  const loud = run(processor, 10);
  processor.port.onmessage({ data: { volume: 0 } });
  const fading = run(processor, 10, 10);
  assert.ok(Math.max(...loud) > 0.45);
  assert.ok(fading.slice(480).every((x) => x === 0), "silent after 30 ms");
  const steps = [...loud, ...fading].map((x, i, all) => Math.abs(x - (all[i - 1] ?? 0)));
  assert.ok(Math.max(...steps) < 0.2, "no click");
  const { position } = processor.player.clip;
  run(processor, 5, 20);
  assert.equal(processor.player.clip.position, position);
});

test("the clip begins again at its end", () => {
  const processor = make();
  processor.port.onmessage({ data: { volume: 1 } });
  const heard = run(processor, 80);
  assert.deepEqual(heard.slice(8000, 10240), heard.slice(4000, 6240));
  assert.ok(Math.max(...heard.slice(8000)) > 0.45);
});

test("samples beyond full scale are clipped, not wrapped", () => {
  const processor = make();
  for (let q = 0; q < 5; q++) processor.process([[new Float32Array(QUANTUM).fill(q % 2 ? 1.5 : -1.5)]], [[new Float32Array(QUANTUM)]]);
  assert.deepEqual(new Set(frames(processor).mic), new Set([-32768, 32767]));
});

test("a missing microphone is silence on the same clock", () => {
  const processor = make();
  for (let q = 0; q < 5; q++) processor.process([[]], [[new Float32Array(QUANTUM)]]);
  assert.ok(frames(processor).mic.every((x) => x === 0));
  assert.equal(processor.port.sent.length, 2);
});

test("it ends when told", () => {
  const processor = make();
  assert.equal(processor.process([[]], [[new Float32Array(QUANTUM)]]), true);
  processor.port.onmessage({ data: { stop: true } });
  assert.equal(processor.process([[]], [[new Float32Array(QUANTUM)]]), false);
});

/** A processor in which the service's voice is played: samples that count, at full volume. */
function streaming(samples) {
  const processor = make();
  processor.port.onmessage({ data: { clip: new Float32Array(0), volume: 1 } });
  run(processor, 10); // the volume is up
  processor.port.onmessage({ data: { item: true } });
  processor.port.onmessage({ data: { play: Int16Array.from({ length: samples }, (_, i) => i + 1) } });
  processor.port.sent.length = 0;
  return processor;
}

test("what the service sends is played once, and counted as it is heard", () => {
  const processor = streaming(1600);
  const heard = run(processor, 5);
  assert.deepEqual([...heard.slice(0, 640)], Array.from({ length: 640 }, (_, i) => (i + 1) / 32768));
  const { itemMs, queuedMs } = processor.port.sent.at(-1);
  assert.equal(itemMs + queuedMs, 100);
  assert.ok(itemMs >= 20 && itemMs <= 40);
  assert.ok(run(processor, 20, 5).slice(1600 - 640).every((x) => x === 0));
  assert.deepEqual([processor.port.sent.at(-1).itemMs, processor.port.sent.at(-1).queuedMs], [100, 0]);
});

test("a cut fades out within 30 ms, and what was not heard does not count", () => {
  const processor = streaming(16000);
  run(processor, 5); // 640 samples
  processor.port.onmessage({ data: { cut: true } });
  const rest = run(processor, 10, 5);
  assert.ok(rest[100] > 0 && rest[100] < 741 / 32768);
  assert.ok(rest.slice(480).every((x) => x === 0));
  assert.equal(processor.port.sent.at(-1).itemMs, (640 + 480) / 16);
});

test("the rest of one item does not count for the next", () => {
  const processor = streaming(16000);
  run(processor, 5);
  processor.port.onmessage({ data: { item: true, play: new Int16Array(320).fill(100) } });
  run(processor, 20, 5);
  assert.equal(processor.port.sent.at(-1).itemMs, 20);
});

test("five minutes: a click that comes back is as late in every frame as the path is, to the sample", () => {
  const DELAY = 1920; // samples of the room: 120 ms
  const processor = make();
  const click = new Float32Array(16000);
  click[77] = 0.9;
  processor.port.onmessage({ data: { clip: click, volume: 1 } });
  const line = new Float32Array(DELAY + QUANTUM); // what has been played, oldest first
  let [n, lastRef, found] = [0, null, 0];
  processor.port.postMessage = ({ audio }) => {
    for (let i = 0; i < audio.length; i += 2, n++) {
      if (audio[i + 1] > 20000) lastRef = n;
      if (audio[i] <= 10000) continue;
      assert.equal(n - lastRef, DELAY);
      found += 1;
    }
  };
  for (let quantum = 0; quantum < (300 * 16000) / QUANTUM; quantum++) {
    const mic = Float32Array.from(line.subarray(QUANTUM, 2 * QUANTUM), (x) => 0.5 * x);
    const out = new Float32Array(QUANTUM);
    processor.process([[mic]], [[out]]);
    line.copyWithin(0, QUANTUM);
    line.set(out, DELAY);
  }
  assert.ok(found >= 299, `${found} clicks`);
});

test("at 48 kHz the service's voice is resampled, and the reference is that voice again", (context) => {
  globalThis.sampleRate = 48000;
  context.after(() => (globalThis.sampleRate = 16000));
  const processor = new Processor({ processorOptions: { rate: 16000, frame: 320 } });
  processor.port.onmessage({ data: { volume: 1 } });
  run(processor, 30); // the volume is up
  const tone = (i) => 10000 * Math.sin((2 * Math.PI * 1000 * i) / 16000);
  for (let start = 0; start < 9600; start += 320) {
    processor.port.onmessage({ data: { play: Int16Array.from({ length: 320 }, (_, i) => tone(start + i)) } });
  }
  processor.port.sent.length = 0;
  run(processor, 260);
  assert.ok(Math.abs(processor.port.sent.at(-1).itemMs - 600) < 1);
  const ref = frames(processor).ref.slice(1600, 8000);
  const level = Math.sqrt(ref.reduce((sum, x) => sum + x * x, 0) / ref.length);
  assert.ok(Math.abs(level - 10000 / Math.SQRT2) < 20, `${level}`);
  const crossings = ref.filter((x, i) => i > 0 && ref[i - 1] < 0 && x >= 0).length;
  assert.ok(Math.abs(crossings - 400) <= 1, `${crossings} periods in 400 ms`);
});
