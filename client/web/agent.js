/** The voices that the page lets talk, and how they behave when somebody talks over them. */

import { playback } from "./protocol.js";

const DUCKED = 0.25;
const PAUSE_MS = 1200; // between the end of a person's turn and the agent's next word
const TELL_MS = 200; // how often the service hears how much of its voice was heard

/**
 * A clip of the page's own: it lowers its voice, stops, and goes on after the turn. Without one it is silent.
 *
 * The loudspeaker of all voices is `{ volume(0..1), clip(samples), item(), play(audio), cut() }`, and `tell`
 * sends an event to the service.
 */
export class ClipAgent {
  constructor(loudspeaker, tell, clip) {
    this.loudspeaker = loudspeaker;
    this.tell = tell;
    this.playing = null; // nothing is known to the service yet
    this.playedMs = 0;
    this.allowed = clip.length > 0;
    loudspeaker.clip(clip);
    this.#volume(1);
  }

  /** Take an event of the service. */
  receive(event) {
    switch (event.type) {
      case "duplex.barge_in":
        this.#volume(event.stage === "commit" || !this.playing ? 0 : DUCKED);
        break;
      case "duplex.false_interruption":
        this.#volume(1);
        break;
      case "input_audio_buffer.speech_started":
        clearTimeout(this.timer);
        break;
      case "input_audio_buffer.speech_stopped":
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.#volume(1), PAUSE_MS);
        break;
    }
  }

  /** Audio of the service is not for it. */
  hear() {}

  /** Take note of what has been heard by now. */
  played({ clipMs }) {
    this.playedMs = clipMs;
  }

  /** Say again whether it plays, to a service that may not know. */
  report() {
    this.tell(playback(this.playing, "clip", this.playedMs));
  }

  stop() {
    clearTimeout(this.timer);
    this.allowed = false;
    this.#volume(0);
  }

  #volume(volume) {
    const allowed = this.allowed ? volume : 0;
    this.loudspeaker.volume(allowed);
    if (this.playing === allowed > 0) return;
    this.playing = allowed > 0;
    this.report();
  }
}

/** A voice that the service sends: it decides what is said, and hears here how much of it was heard. */
export class ServiceAgent {
  constructor(loudspeaker, tell) {
    this.loudspeaker = loudspeaker;
    this.tell = tell;
    this.item = null;
    this.playing = false;
    this.position = { itemMs: 0, queuedMs: 0 };
    this.toldMs = 0;
    loudspeaker.clip(new Float32Array(0));
    loudspeaker.volume(1);
  }

  receive(event) {
    switch (event.type) {
      case "response.created":
        this.#begin(event.response.item_id);
        break;
      case "duplex.barge_in":
        if (event.stage === "commit") this.#cut();
        else this.loudspeaker.volume(DUCKED);
        break;
      case "duplex.false_interruption":
      case "input_audio_buffer.speech_stopped":
        this.loudspeaker.volume(1);
        break;
      case "conversation.item.truncated":
        if (event.item_id === this.item) this.#cut();
        break;
    }
  }

  hear(audio) {
    if (this.item !== null) this.loudspeaker.play(audio);
  }

  played(position) {
    this.position = position;
    const playing = this.item !== null && position.queuedMs > 0;
    if (playing !== this.playing || (playing && position.itemMs - this.toldMs >= TELL_MS)) this.#report(playing);
  }

  report() {
    this.#report(this.playing);
  }

  stop() {
    this.#cut();
  }

  #begin(item) {
    this.item = item;
    this.toldMs = 0;
    this.position = { itemMs: 0, queuedMs: 0 };
    this.loudspeaker.volume(1);
    this.loudspeaker.item();
  }

  #cut() {
    this.loudspeaker.cut();
    if (this.playing) this.#report(false);
    this.item = null; // what still comes of it is not played
  }

  #report(playing) {
    this.playing = playing;
    this.toldMs = this.position.itemMs;
    if (this.item !== null) this.tell(playback(playing, this.item, this.position.itemMs));
  }
}
