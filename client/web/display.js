/** What an event of the service changes on the page. */

import { endpoint } from "./words.js";

const TRANSCRIPTION = "conversation.item.input_audio_transcription";
const SILENT_DBFS = -85;
const SILENT_STATS = 30; // three seconds
const SILENT_MICROPHONE = "The microphone gives only silence. Is it muted, or the wrong one?";
const SILENT_REFERENCE = "The agent talks, but the reference is silent: its echo cannot be taken out.";

export class Display {
  /**
   * @param {import("./view.js").View} view
   * @param {import("./captions.js").Captions} captions
   * @param {import("./turns.js").TurnLane} turns
   */
  constructor(view, captions, turns) {
    this.view = view;
    this.captions = captions;
    this.turns = turns;
    this.reset();
  }

  reset() {
    this.startedAt = 0; // of the newest turn, ms
    this.agentTalks = false; // or should, as far as the page knows
    this.silent = { microphone: 0, reference: 0 }; // statistics without a sound, in a row
  }

  /**
   * @param {object} event of the service; unknown ones change nothing
   * @param {number} ms when it came, on the microphone's clock
   */
  show(event, ms) {
    shown[event.type]?.(this, event, ms);
  }

  /** Say that something should sound and does not, once that has lasted. */
  watch(what, silent, text) {
    this.silent[what] = silent ? this.silent[what] + 1 : 0;
    this.view.notice(`silent ${what}`, this.silent[what] >= SILENT_STATS ? text : "");
  }

  /** The session is gone and another one has begun: what was open stays as it is. */
  replaced() {
    this.captions.closeAll();
    this.turns.closeAll();
    this.view.vad(false);
    this.view.bargeIn("");
  }
}

/** By type of event; `page` is a Display. */
const shown = {
  "session.updated"(page, { session }) {
    page.view.backends(session.backends);
  },

  "duplex.aec.stats"(page, event) {
    page.view.stats(event);
    page.watch("microphone", event.mic_dbfs < SILENT_DBFS, SILENT_MICROPHONE);
    page.watch("reference", page.agentTalks && event.ref_dbfs < SILENT_DBFS, SILENT_REFERENCE);
  },

  "duplex.reference"(page, { state, message }) {
    page.view.reference(state, message);
  },

  "duplex.gap"(page, event) {
    if (!event.reset) return;
    page.view.notice("gap", `${(event.lost_ms / 1000).toFixed(1)} s of audio were lost; the canceller learns the room again.`);
  },

  "input_audio_buffer.speech_started"(page, { item_id: item, audio_start_ms: at, duplex }) {
    page.view.vad(true, duplex.during_playback);
    page.captions.start(item, at);
    page.turns.begin(item, at, duplex.during_playback);
    page.startedAt = at;
  },

  "input_audio_buffer.speech_stopped"(page, { item_id: item, audio_end_ms: at, duplex }) {
    page.view.vad(false);
    page.view.bargeIn("");
    page.captions.end(item, at);
    page.captions.note(item, `turn ended: ${endpoint(duplex)}`);
    page.turns.end(item, at, duplex.reason.replaceAll("_", " "));
  },

  "duplex.barge_in"(page, { stage, item_id: item, audio_ms: spoken }) {
    const commit = stage === "commit";
    page.view.bargeIn(commit ? "barge-in: the agent stops" : "barge-in? the agent lowers its voice");
    if (commit) page.captions.note(item, "barge-in");
    page.turns.mark(item, page.startedAt + spoken, commit ? "barge-in" : "duck", commit);
  },

  "duplex.false_interruption"(page, { item_id: item, audio_ms: spoken, reason }) {
    const why = reason.replaceAll("_", " ");
    page.view.bargeIn(`false interruption (${why}): the agent goes on`);
    page.captions.note(item, `no interruption: ${why}`);
    page.turns.mark(item, page.startedAt + spoken, why);
  },

  [`${TRANSCRIPTION}.delta`](page, { item_id: item, text, end_ms: end }) {
    page.captions.partial(item, text, end);
    page.turns.words(item, text, false);
  },

  [`${TRANSCRIPTION}.completed`](page, { item_id: item, transcript, words }) {
    page.captions.final(item, transcript, words ?? []);
    page.turns.words(item, transcript.trim(), true);
  },

  [`${TRANSCRIPTION}.failed`](page, { item_id: item, error }) {
    page.captions.failed(item, error.message);
  },

  "response.created"(page, { response }, ms) {
    page.captions.agentStarts(response.item_id, ms);
  },

  "response.output_audio_transcript.delta"(page, { item_id: item, delta }) {
    page.captions.agentSays(item, delta);
  },

  "conversation.item.truncated"(page, { item_id: item, duplex }) {
    page.captions.agentStopped(item, duplex?.transcript ?? "");
  },

  "duplex.draining"(page) {
    page.view.notice("service", "The service restarts soon: this session will go on with the next one.");
  },

  error(page, { error }) {
    page.view.notice("service", `The service says: ${error.message}`);
  },
};
