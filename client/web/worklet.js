/**
 * The agent's voice out and the microphone in, in one processor: both are counted by one clock, so that
 * the reference is sample-aligned with the microphone whatever the browser buffers.
 */

import { Resampler } from "./resample.js";

const RAMP_S = 0.03; // from silence to full volume: no clicks

/** Plays a clip over and over, with a volume that never jumps. */
class Player {
  constructor(clip) {
    this.clip = clip;
    this.position = 0;
    this.volume = 0;
    this.target = 0;
    this.step = 1 / (RAMP_S * sampleRate);
  }

  /** Fill `out`; what is in it afterwards is the reference. */
  render(out) {
    for (let i = 0; i < out.length; i++) {
      const distance = this.target - this.volume;
      this.volume += Math.max(-this.step, Math.min(this.step, distance));
      out[i] = this.volume * this.clip[this.position];
      // A clip that is not heard waits where it is.
      if (this.volume > 0) this.position = (this.position + 1) % this.clip.length;
    }
  }
}

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

class DuplexProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { clip, rate, frame } }) {
    super();
    this.player = new Player(clip);
    this.micResampler = new Resampler(sampleRate, rate);
    this.refResampler = new Resampler(sampleRate, rate);
    this.framer = new Framer(frame, (audio) => this.#send(audio));
    this.silence = new Float32Array(128);
    this.running = true;
    this.port.onmessage = ({ data }) => this.#obey(data);
  }

  #obey({ volume, stop }) {
    if (volume !== undefined) this.player.target = volume;
    if (stop) this.running = false;
  }

  #send(audio) {
    const playedMs = (1000 * this.player.position) / sampleRate;
    this.port.postMessage({ audio, playedMs }, [audio.buffer]);
  }

  process([input], [[out]]) {
    this.player.render(out);
    const mic = input[0] ?? this.silence; // no channel: the microphone has not begun, or is gone
    this.framer.push(this.micResampler.push(mic), this.refResampler.push(out));
    return this.running;
  }
}

registerProcessor("duplex", DuplexProcessor);
