/**
 * The agent's voice out and the microphone in, in one processor: both are counted by one clock, so that
 * the reference is sample-aligned with the microphone whatever the browser buffers.
 */

import { Player } from "./player.js";
import { Resampler } from "./resample.js";

/** Collects pairs of samples to frames of interleaved int16. */
class Framer {
  constructor(samples, emit) {
    this.samples = samples;
    this.emit = emit;
    this.frame = new Int16Array(2 * samples);
    this.filled = 0;
  }

  push(mic, ref) {
    for (let i = 0; i < mic.length; i++) {
      this.frame[2 * this.filled] = toInt16(mic[i]);
      this.frame[2 * this.filled + 1] = toInt16(ref[i]);
      if (++this.filled === this.samples) this.#flush();
    }
  }

  #flush() {
    this.emit(this.frame);
    this.frame = new Int16Array(2 * this.samples);
    this.filled = 0;
  }
}

function toInt16(sample) {
  return Math.max(-32768, Math.min(32767, Math.round(32768 * sample)));
}

/**
 * Says every frame as `{ audio, clipMs, itemMs, queuedMs }`, and obeys `{ clip }`, `{ volume }`, `{ play }`,
 * `{ item }`, `{ cut }` and `{ stop }`.
 */
class DuplexProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate, frame } }) {
    super();
    this.player = new Player(rate);
    this.micResampler = new Resampler(sampleRate, rate);
    this.refResampler = new Resampler(sampleRate, rate);
    this.framer = new Framer(frame, (audio) => this.#send(audio));
    this.silence = new Float32Array(128);
    this.running = true;
    this.port.onmessage = ({ data }) => this.#obey(data);
  }

  #obey({ clip, volume, play, item, cut, stop }) {
    if (clip) this.player.clip.load(clip);
    if (volume !== undefined) this.player.target = volume;
    if (item) this.player.beginItem();
    if (play) this.player.push(play);
    if (cut) this.player.queue.cut();
    if (stop) this.running = false;
  }

  #send(audio) {
    this.port.postMessage({ audio, ...this.player.position() }, [audio.buffer]);
  }

  process([input], [[out]]) {
    this.player.render(out);
    const mic = input[0] ?? this.silence; // no channel: the microphone has not begun, or is gone
    this.framer.push(this.micResampler.push(mic), this.refResampler.push(out));
    return this.running;
  }
}

registerProcessor("duplex", DuplexProcessor);
