import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { Recorder, TRACKS } from "../../../client/web/recorder.js";

async function read(recorder, name) {
  const view = new DataView(await recorder.wav(name).arrayBuffer());
  assert.equal(view.getUint32(40, true), view.byteLength - 44);
  return Array.from({ length: (view.byteLength - 44) / 2 }, (_, i) => view.getInt16(44 + 2 * i, true));
}

const cleaned = (micStart, audio) => ({ micStart, audio: Int16Array.from(audio) });

test("four tracks on the microphone's clock, as long as the microphone", async () => {
  const recorder = new Recorder(16000);
  assert.equal(recorder.length, 0);
  recorder.addSent(0, Int16Array.of(1, -1, 2, -2, 3, -3));
  recorder.addSent(3, Int16Array.of(4, -4, 5, -5, 6, -6));
  recorder.addCleaned(cleaned(2, [70, 7, 80, 8]));
  assert.deepEqual(await read(recorder, "mic"), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(await read(recorder, "ref"), [-1, -2, -3, -4, -5, -6]);
  assert.deepEqual(await read(recorder, "cleaned-vad"), [0, 0, 70, 80, 0, 0]);
  assert.deepEqual(await read(recorder, "cleaned-asr"), [0, 0, 7, 8, 0, 0]);
});

test("what comes twice is taken once, and more can come after a download", async () => {
  const recorder = new Recorder(16000);
  recorder.addSent(0, Int16Array.of(1, 0, 2, 0, 3, 0));
  await recorder.archive();
  recorder.addSent(1, Int16Array.of(2, 0, 3, 0, 4, 0));
  assert.deepEqual(await read(recorder, "mic"), [1, 2, 3, 4]);
});

test("long audio goes through Blobs unharmed", async () => {
  const recorder = new Recorder(100);
  const expected = [];
  for (let start = 0; start < 2100; start += 7) {
    const mic = Array.from({ length: 7 }, (_, i) => start + i);
    recorder.addSent(start, Int16Array.from(mic.flatMap((sample) => [sample, 0])));
    expected.push(...mic);
  }
  assert.equal(recorder.tracks.mic.blobs.length, 4);
  assert.deepEqual(await read(recorder, "mic"), expected);
});

test("it ends after half an hour and keeps what it has", async () => {
  const recorder = new Recorder(1);
  recorder.addSent(1798, Int16Array.of(1, 0, 2, 0));
  recorder.addSent(1800, Int16Array.of(3, 0));
  assert.equal((await read(recorder, "mic")).length, 1800);
});

test("the archive is one that others read", async () => {
  const recorder = new Recorder(16000);
  recorder.addSent(0, Int16Array.of(1, -1, 2, -2));
  for (let i = 0; i < 1001; i++) recorder.addEvent({ type: "ü", i });
  const path = join(mkdtempSync(join(tmpdir(), "zip-")), "session.zip");
  writeFileSync(path, Buffer.from(await (await recorder.archive()).arrayBuffer()));
  const script = `
import json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
print(json.dumps([archive.namelist(), archive.read("events.jsonl").decode().splitlines()]))`;
  const [names, lines] = JSON.parse(execFileSync("python3", ["-c", script, path], { encoding: "utf8" }));
  assert.deepEqual(names, [...TRACKS.map((name) => `${name}.wav`), "events.jsonl"]);
  assert.deepEqual(lines.map((line) => JSON.parse(line).i), [...Array(1001).keys()]);
});
