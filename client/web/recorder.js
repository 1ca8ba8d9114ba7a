/**
 * Keeps a session: four tracks of audio on the microphone's clock, and the events as JSON lines.
 *
 * What is older than a few seconds lies in Blobs, which browsers keep outside the memory of the page.
 */

import { wavHeader } from "./wav.js";
import { zip } from "./zip.js";

export const TRACKS = Object.freeze(["mic", "ref", "cleaned-vad", "cleaned-asr"]);

const MAX_SECONDS = 1800; // 58 MB a track; after that the recording ends and the page goes on
const PIECE_SECONDS = 5;
const PIECE_LINES = 500;

/** One channel without gaps: what is missing is silence, what comes twice is taken once. */
class Track {
  constructor(rate) {
    this.limit = MAX_SECONDS * rate;
    this.blobs = [];
    this.piece = new Int16Array(PIECE_SECONDS * rate);
    this.filled = 0;
    this.end = 0; // one past the last sample
    this.full = false; // something was left out at its end
  }

  /** Add every `step`-th sample from `first` on, as audio that begins at sample `start`. */
  add(start, audio, first, step) {
    const samples = audio.length / step;
    if (start + samples > this.limit) {
      this.full = true;
      return;
    }
    while (this.end < start) this.#push(0);
    for (let i = this.end - start; i < samples; i++) this.#push(audio[first + step * i]);
  }

  /** Return exactly `samples` samples from the beginning, as little-endian int16. */
  blob(samples) {
    const missing = new Int16Array(Math.max(0, samples - this.end));
    return new Blob([...this.blobs, this.piece.slice(0, this.filled), missing]).slice(0, 2 * samples);
  }

  #push(sample) {
    this.piece[this.filled++] = sample;
    this.end += 1;
    if (this.filled < this.piece.length) return;
    this.blobs.push(new Blob([this.piece.slice()]));
    this.filled = 0;
  }
}

export class Recorder {
  /** @param {number} rate Hz, of all tracks */
  constructor(rate) {
    this.rate = rate;
    this.tracks = Object.fromEntries(TRACKS.map((name) => [name, new Track(rate)]));
    this.texts = []; // Blobs of JSON lines
    this.lines = [];
  }

  /** Add interleaved mic and ref, as they were sent. */
  addSent(start, audio) {
    this.tracks.mic.add(start, audio, 0, 2);
    this.tracks.ref.add(start, audio, 1, 2);
  }

  /** Add a frame of cleaned audio: β 0.6 for the detector, β 0.2 for the recogniser. */
  addCleaned({ micStart, audio }) {
    this.tracks["cleaned-vad"].add(micStart, audio, 0, 2);
    this.tracks["cleaned-asr"].add(micStart, audio, 1, 2);
  }

  addEvent(event) {
    this.lines.push(`${JSON.stringify(event)}\n`);
    if (this.lines.length < PIECE_LINES) return;
    this.texts.push(new Blob(this.lines));
    this.lines = [];
  }

  /** Samples that every file has. */
  get length() {
    return this.tracks.mic.end;
  }

  /** The recording has reached its longest, and goes on no more. */
  get full() {
    return this.tracks.mic.full;
  }

  /** Return one track as a WAV file; all tracks are of one length. */
  wav(name) {
    const samples = this.length;
    return new Blob([wavHeader(1, this.rate, 2 * samples), this.tracks[name].blob(samples)], { type: "audio/wav" });
  }

  /** Return a zip of the tracks as WAV files, and the events as they came. */
  archive() {
    const files = TRACKS.map((name) => [`${name}.wav`, this.wav(name)]);
    return zip([...files, ["events.jsonl", new Blob([...this.texts, ...this.lines])]]);
  }
}
