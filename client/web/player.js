/** The agent's voice inside the worklet: a clip that the page has, or what the service sends. */

import { Resampler } from "./resample.js";

const RAMP_S = 0.03; // from silence to full volume: no clicks
const MAX_QUEUED_S = 30; // the service keeps a fraction of a second ahead

/** Gives a clip over and over; it waits where it is while it is not heard. */
class Clip {
  constructor() {
    this.samples = new Float32Array(0);
    this.position = 0;
  }

  /** Take another clip; an empty one is silence. */
  load(samples) {
    this.samples = samples;
    this.position = 0;
  }

  next(volume) {
    if (volume === 0 || this.samples.length === 0) return 0;
    const sample = this.samples[this.position];
    this.position = (this.position + 1) % this.samples.length;
    return sample;
  }
}

/** Gives what was queued, and silence while nothing is there. */
class Queue {
  constructor() {
    this.chunks = [];
    this.queued = 0; // samples
    this.played = 0; // samples, since the last item began
    this.at = 0; // in the first chunk
  }

  push(samples) {
    if (this.queued + samples.length > MAX_QUEUED_S * sampleRate) return;
    this.chunks.push(samples);
    this.queued += samples.length;
  }

  next() {
    if (this.queued === 0) return 0;
    const sample = this.chunks[0][this.at];
    if (++this.at === this.chunks[0].length) {
      this.chunks.shift();
      this.at = 0;
    }
    this.queued -= 1;
    this.played += 1;
    return sample;
  }

  /** Let go of all but the next few samples, and fade these out. */
  cut() {
    const rest = Float32Array.from({ length: Math.min(this.queued, Math.round(RAMP_S * sampleRate)) }, () => this.next());
    this.played -= rest.length; // they are still to be heard
    this.chunks = rest.length > 0 ? [rest.map((sample, i) => sample * (1 - i / rest.length))] : [];
    this.queued = rest.length;
    this.at = 0;
  }
}

export class Player {
  /** @param {number} wireRate Hz, of what the service sends */
  constructor(wireRate) {
    this.clip = new Clip();
    this.queue = new Queue();
    this.resampler = new Resampler(wireRate, sampleRate);
    this.volume = 0; // never jumps
    this.target = 0;
    this.step = 1 / (RAMP_S * sampleRate);
  }

  /** Fill `out`; what is in it afterwards is the reference. */
  render(out) {
    for (let i = 0; i < out.length; i++) {
      const distance = this.target - this.volume;
      this.volume += Math.max(-this.step, Math.min(this.step, distance));
      out[i] = this.volume * (this.clip.next(this.volume) + this.queue.next());
    }
  }

  /** Queue int16 samples at the wire rate. */
  push(audio) {
    this.queue.push(this.resampler.push(Float32Array.from(audio, (sample) => sample / 32768)));
  }

  /** Begin to count what is heard of the next item. */
  beginItem() {
    this.queue.cut();
    this.queue.played = -this.queue.queued; // the rest of the item before does not count
    this.resampler.reset();
  }

  /** Milliseconds heard of the clip and of the item, and what waits of the item. */
  position() {
    const ms = (samples) => (1000 * Math.max(0, samples)) / sampleRate;
    return { clipMs: ms(this.clip.position), itemMs: ms(this.queue.played), queuedMs: ms(this.queue.queued) };
  }
}
