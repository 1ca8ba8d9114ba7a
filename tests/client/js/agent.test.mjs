import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Agent } from "../../../client/web/agent.js";

let volume, changes, agent;

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [volume, changes] = [0, []];
  agent = new Agent((value) => (volume = value), (playing) => changes.push(playing));
});

const STARTED = { type: "input_audio_buffer.speech_started" };
const STOPPED = { type: "input_audio_buffer.speech_stopped" };
const bargeIn = (stage) => ({ type: "duplex.barge_in", stage });

test("it lowers its voice, stops, and goes on after the turn", () => {
  agent.allow(true);
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
  assert.deepEqual(changes, [true, false, true]);
});

test("a false interruption brings its voice back", () => {
  agent.allow(true);
  agent.receive(bargeIn("duck"));
  agent.receive({ type: "duplex.false_interruption" });
  assert.equal(volume, 1);
  assert.deepEqual(changes, [true]);
});

test("it does not begin while somebody talks again", () => {
  agent.allow(true);
  agent.receive(bargeIn("commit"));
  agent.receive(STOPPED);
  mock.timers.tick(500);
  agent.receive(STARTED);
  mock.timers.tick(5000);
  assert.equal(volume, 0);
});

test("a stopped agent is not made to whisper by a duck", () => {
  agent.allow(true);
  agent.receive(bargeIn("commit"));
  agent.receive(bargeIn("duck"));
  assert.equal(volume, 0);
});

test("whoever paused it decides when it talks", () => {
  agent.allow(true);
  agent.allow(false);
  agent.receive({ type: "duplex.false_interruption" });
  agent.receive(STOPPED);
  mock.timers.tick(5000);
  assert.equal(volume, 0);
  agent.allow(true);
  assert.equal(volume, 1);
});
