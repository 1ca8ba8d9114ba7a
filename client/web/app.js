/** The page: one button starts the microphone, the agent's voice and a session with the service. */

import { Agent } from "./agent.js";
import { AudioError, DuplexAudio, RATE, openMicrophone, stillProcessed } from "./audio.js";
import { Captions } from "./captions.js";
import { Connection } from "./connection.js";
import { KIND, playback } from "./protocol.js";
import { Recorder } from "./recorder.js";
import { View, describe, endpoint } from "./view.js";

const CLIP = new URL("agent.mp3", import.meta.url).href;
const TRANSCRIPTION = "conversation.item.input_audio_transcription";
const MAX_SAVED_EVENTS = 50000; // later ones are shown but not saved

const view = new View();
const captions = new Captions(document.getElementById("captions"));
let call = null; // the one that runs
let saved = null; // what can be downloaded: of this call, or of the last one

/** One session with the service, from the tap on Start to its end. */
class Call {
  constructor() {
    this.recorder = new Recorder(RATE);
    this.events = [];
    this.over = false;
    this.playedMs = 0;
  }

  async start() {
    view.status("busy", "Opening microphone");
    this.stream = await openMicrophone();
    if (this.over) return this.stop(); // somebody pressed Stop while the browser was asking
    this.#warnAboutProcessing();
    this.stream.getAudioTracks()[0].onended = () => fail(this, "The microphone was taken away.");
    view.status("busy", "Starting audio");
    this.audio = await DuplexAudio.open(this.stream, CLIP, (audio, playedMs) => this.#frame(audio, playedMs));
    if (this.over) return this.stop();
    this.agent = new Agent(
      (volume) => this.audio?.setVolume(volume),
      (playing) => this.connection.sendEvent(playback(playing, this.playedMs)),
    );
    return this.#connect();
  }

  /** End it and let go of the microphone; may be called at any time and twice. */
  async stop() {
    this.over = true;
    this.agent?.stop();
    this.connection?.close();
    this.stream?.getTracks().forEach((track) => track.stop());
    const audio = this.audio;
    this.audio = undefined;
    await audio?.close();
  }

  #warnAboutProcessing() {
    const on = stillProcessed(this.stream);
    view.warning(
      on.length === 0
        ? ""
        : `The browser keeps its own ${on.join(", ")} on: what you see here is partly its work.`,
    );
  }

  #connect() {
    view.status("busy", "Connecting");
    this.connection = new Connection(window.location, RATE, {
      onReady: () => this.#ready(),
      onEvent: (event) => this.#event(event),
      onAudio: (frame) => frame.kind === KIND.CLEANED && this.recorder.addCleaned(frame),
      onClose: (reason) => fail(this, reason),
    });
  }

  #ready() {
    view.status("live", "Listening");
    view.agent(true, true);
    this.agent.allow(true);
  }

  #frame(audio, playedMs) {
    this.playedMs = playedMs;
    if (!this.connection?.ready) return; // the sample clock starts with the session
    this.recorder.addSent(this.connection.sent, audio);
    this.connection.sendFrame(audio);
  }

  #event(event) {
    if (this.events.length < MAX_SAVED_EVENTS) this.events.push(event);
    this.agent.receive(event);
    show(event);
    const text = describe(event);
    if (text !== null) view.event((1000 * this.connection.sent) / RATE, event.type, text);
    document.getElementById("save-events").disabled = false;
    document.getElementById("download").disabled = this.recorder.empty;
  }
}

const shown = {
  "session.updated": ({ session }) => view.backends(session.backends),
  "duplex.aec.stats": (event) => view.stats(event),
  "duplex.reference": ({ state }) => view.reference(state),
  "input_audio_buffer.speech_started": (event) => {
    view.vad(true, event.duplex.during_playback);
    captions.start(event.item_id, event.audio_start_ms);
  },
  "input_audio_buffer.speech_stopped": (event) => {
    view.vad(false);
    view.bargeIn("");
    captions.note(event.item_id, `turn ended: ${endpoint(event.duplex)}`);
  },
  "duplex.barge_in": (event) => {
    view.bargeIn(event.stage === "commit" ? "barge-in: the agent stops" : "barge-in? the agent lowers its voice");
    if (event.stage === "commit") captions.note(event.item_id, "barge-in");
  },
  "duplex.false_interruption": () => {
    view.vad(false);
    view.bargeIn("false interruption: the agent goes on");
  },
  [`${TRANSCRIPTION}.delta`]: (event) => captions.partial(event.item_id, event.text),
  [`${TRANSCRIPTION}.completed`]: (event) => captions.final(event.item_id, event.transcript),
  [`${TRANSCRIPTION}.failed`]: (event) => captions.failed(event.item_id, event.error.message),
  "duplex.draining": () => view.warning("The service restarts soon: this session will end."),
  error: ({ error }) => view.warning(`The service says: ${error.message}`),
};

function show(event) {
  shown[event.type]?.(event);
}

async function start() {
  if (call !== null) return;
  call = saved = new Call();
  view.reset();
  captions.clear();
  view.alert("");
  view.warning("");
  view.running(true);
  const mine = call;
  try {
    await mine.start();
  } catch (error) {
    if (!(error instanceof AudioError)) console.error(error);
    await fail(mine, error.message);
  }
}

async function fail(failed, message) {
  if (call !== failed) return; // stopped already
  view.alert(message);
  await end("error", "Stopped");
}

async function end(state, text) {
  const ended = call;
  call = null;
  view.status(state, text);
  view.running(false);
  view.agent(true, false);
  view.calm();
  await ended?.stop();
}

function toggleAgent() {
  const allowed = !call.agent.wanted;
  call.agent.allow(allowed);
  view.agent(allowed, true);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function saveEvents() {
  const lines = saved.events.map((event) => `${JSON.stringify(event)}\n`);
  save(new Blob(lines, { type: "application/jsonl" }), "duplex-events.jsonl");
}

function listen(id, action) {
  document.getElementById(id).addEventListener("click", action);
}

listen("start", start);
listen("stop", () => end("idle", "Stopped"));
listen("agent", toggleAgent);
listen("download", () => save(saved.recorder.wav(), "duplex-audio.wav"));
listen("save-events", saveEvents);
window.addEventListener("pagehide", () => call?.stop());
