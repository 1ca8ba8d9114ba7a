import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { ClipAgent, ServiceAgent } from "../../../client/web/agent.js";

const CLIP = new Float32Array(10);
let volume, heard, told;

const loudspeaker = {
  volume: (value) => (volume = value),
  clip: () => heard.push("clip"),
  item: () => heard.push("item"),
  play: (audio) => heard.push(audio),
  cut: () => heard.push("cut"),
};
const tell = (event) => told.push([event.playing, event.item_id, event.played_ms]);
const clipAgent = () => new ClipAgent(loudspeaker, tell, CLIP);

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [volume, heard, told] = [0, [], []];
});

const STARTED = { type: "input_audio_buffer.speech_started" };
const STOPPED = { type: "input_audio_buffer.speech_stopped" };
const bargeIn = (stage) => ({ type: "duplex.barge_in", stage });

test("it lowers its voice, stops, and goes on after the turn", () => {
  const agent = clipAgent();
  agent.receive(STARTED);
  assert.equal(volume, 1);
  agent.receive(bargeIn("duck"));
  assert.ok(volume > 0 && volume < 0.5);
  agent.receive(bargeIn("commit"));
  assert.equal(volume, 0);
  agent.receive(STOPPED);
  assert.equal(volume, 0);
  mock.timers.tick(2000);
  assert.equal(volume, 1);
  assert.deepEqual(told.map(([playing]) => playing), [true, false, true]);
});

test("a false interruption brings its voice back", () => {
  const agent = clipAgent();
  agent.receive(bargeIn("duck"));
  agent.receive({ type: "duplex.false_interruption" });
  assert.equal(volume, 1);
  assert.deepEqual(told, [[true, "clip", 0]]);
});

test("it does not begin while somebody talks again", () => {
  const agent = clipAgent();
  agent.receive(bargeIn("commit"));
  agent.receive(STOPPED);
  mock.timers.tick(500);
  agent.receive(STARTED);
  mock.timers.tick(5000);
  assert.equal(volume, 0);
});

test("a stopped agent is not made to whisper by a duck", () => {
  const agent = clipAgent();
  agent.receive(bargeIn("commit"));
  agent.receive(bargeIn("duck"));
  assert.equal(volume, 0);
});

test("stopped for good, it stays silent", () => {
  const agent = clipAgent();
  agent.played({ clipMs: 1234.4 });
  agent.stop();
  agent.receive({ type: "duplex.false_interruption" });
  agent.receive(STOPPED);
  mock.timers.tick(5000);
  assert.equal(volume, 0);
  assert.deepEqual(told, [[true, "clip", 0], [false, "clip", 1234]]);
});

test("without a clip it says that nothing plays", () => {
  new ClipAgent(loudspeaker, tell, new Float32Array(0));
  assert.equal(volume, 0);
  assert.deepEqual(told, [[false, "clip", 0]]);
});

const response = (item) => ({ type: "response.created", response: { item_id: item } });

test("the service's voice is played, and how far it was heard is told", () => {
  const agent = new ServiceAgent(loudspeaker, tell);
  agent.hear("too early");
  agent.receive(response("item_3"));
  agent.hear("audio");
  for (let ms = 0; ms <= 400; ms += 20) agent.played({ itemMs: ms, queuedMs: 400 - ms });
  assert.deepEqual(heard, ["clip", "item", "audio"]);
  assert.deepEqual(told, [[true, "item_3", 0], [true, "item_3", 200], [false, "item_3", 400]]);
});

test("it lowers its voice at a duck, and at a commit it says what was heard and plays no more of it", () => {
  const agent = new ServiceAgent(loudspeaker, tell);
  agent.receive(response("item_3"));
  agent.played({ itemMs: 100, queuedMs: 300 });
  agent.receive(bargeIn("duck"));
  assert.ok(volume > 0 && volume < 0.5);
  agent.played({ itemMs: 140, queuedMs: 260 });
  agent.receive(bargeIn("commit"));
  agent.hear("late");
  assert.deepEqual(heard, ["clip", "item", "cut"]);
  assert.deepEqual(told.at(-1), [false, "item_3", 140]);
  agent.receive(response("item_5"));
  assert.equal(volume, 1);
  agent.hear("next");
  assert.equal(heard.at(-1), "next");
});

test("a false interruption brings the service's voice back", () => {
  const agent = new ServiceAgent(loudspeaker, tell);
  agent.receive(response("item_3"));
  agent.receive(bargeIn("duck"));
  agent.receive({ type: "duplex.false_interruption" });
  assert.equal(volume, 1);
  assert.ok(!heard.includes("cut"));
});

test("what the service truncates is cut", () => {
  const agent = new ServiceAgent(loudspeaker, tell);
  agent.receive(response("item_3"));
  agent.receive({ type: "conversation.item.truncated", item_id: "item_1" });
  assert.ok(!heard.includes("cut"));
  agent.receive({ type: "conversation.item.truncated", item_id: "item_3" });
  assert.equal(heard.at(-1), "cut");
});
