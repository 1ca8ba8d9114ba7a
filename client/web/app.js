/** The page: one button starts the microphone, the agent's voice and a session with the service. */

import { Call } from "./call.js";
import { Captions } from "./captions.js";
import { Comparison } from "./comparison.js";
import { Display } from "./display.js";
import { AudioError, INSECURE } from "./microphone.js";
import { Scope } from "./scope.js";
import { View } from "./view.js";
import { describe } from "./words.js";

const at = (id) => document.getElementById(id);

const view = new View();
const comparison = new Comparison(at("comparison"), (ms) => captions.follow(ms));
const captions = new Captions(at("captions"), (ms) => comparison.playFrom(ms));
const scope = new Scope({ mic: at("mic-scope"), ref: at("ref-scope"), cleaned: at("cleaned-scope"), turns: at("turns") });
const display = new Display(view, captions, scope.turns);
let call = null; // the one that runs
let recorded = false; // by the service
let saved = null; // what can be downloaded: of this call, or of the last one

function chosen(name) {
  return document.querySelector(`input[name=${name}]:checked`).value;
}

function makeCall() {
  const made = new Call(chosen("agent"), {
    onStatus: (state, text) => view.status(state, text),
    onNotice: (matter, text) => view.notice(matter, text),
    onSent: (start, audio) => scope.addSent(start, audio),
    onCleaned: (frame) => scope.addCleaned(frame),
    onEvent: (event, ms) => receive(made, event, ms),
    onReplaced: () => display.replaced(),
    onOutputs: (devices) => view.outputs(devices),
    onFailed: (message) => fail(made, message),
  });
  return made;
}

function receive(from, event, ms) {
  display.agentTalks = from.agentTalks;
  display.show(event, ms);
  const text = describe(event);
  if (text !== null) view.event(ms, event.type, text);
  if (event.type !== "duplex.aec.stats") return;
  const { cleanedMs, roundTripMs } = from.latency;
  view.latency(cleanedMs, roundTripMs, from.audio?.latencyMs);
  at("download").disabled = from.recorder.length === 0;
  if (from.recorder.full) view.notice("recording", "The recording is full after half an hour; the session goes on.");
}

async function start() {
  if (call !== null) return;
  call = saved = makeCall();
  const mine = call;
  view.reset();
  warnOfRecording();
  display.reset();
  captions.clear();
  comparison.clear();
  scope.start();
  view.running(true);
  try {
    await mine.start();
  } catch (error) {
    if (!(error instanceof AudioError)) console.error(error);
    await fail(mine, error.message);
  }
}

/** The first tap waits for the last words, the second one does not. */
async function stop() {
  const mine = call;
  if (!mine.finishing) {
    mine.finishing = true;
    view.status("busy", "Finishing");
    await mine.finish();
  }
  if (call === mine) await end("idle", "Stopped");
}

async function fail(failed, message) {
  if (call !== failed) return; // stopped already
  view.alert(message);
  await end("error", "Stopped");
}

async function end(state, text) {
  const ended = call;
  call = null;
  scope.stop();
  view.status(state, text);
  view.running(false);
  view.calm();
  await ended?.stop();
  if (call === null && ended?.recorder.length > 0) comparison.load(ended.recorder);
}

/** Who talks to a service that keeps what it hears must know. */
function warnOfRecording() {
  view.notice("recorded", recorded ? "This service keeps a recording of each session." : "");
}

/** Offer the agents that this service has. */
async function offerAgents() {
  try {
    const { agents = [], recorded: keeps } = await (await fetch("v1/config")).json();
    view.agents(agents);
    recorded = keeps === true;
    warnOfRecording();
  } catch {
    // Without an answer all stay on offer: the service itself will say which it lacks.
  }
}

async function save() {
  at("download").disabled = true;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await saved.recorder.archive());
  link.download = "duplex-session.zip";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  at("download").disabled = false;
}

if (!window.isSecureContext) view.alert(INSECURE);
offerAgents();
at("start").addEventListener("click", start);
at("stop").addEventListener("click", stop);
at("download").addEventListener("click", save);
at("agents").addEventListener("change", () => call?.choose(chosen("agent")));
at("outputs").addEventListener("change", ({ target }) => call?.playOn(target.value));
at("beta").addEventListener("change", () => (scope.channel = Number(chosen("beta"))));
window.addEventListener("pagehide", () => call?.stop());
