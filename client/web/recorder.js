/** Keeps the microphone and its cleaned signal side by side, to be downloaded as one WAV file. */

const MAX_SECONDS = 600; // 38 MB; after that the recording ends and the page goes on

export class Recorder {
  /** @param {number} rate Hz */
  constructor(rate) {
    this.rate = rate;
    this.limit = MAX_SECONDS * rate;
    this.microphone = []; // [start, Int16Array]
    this.cleaned = [];
    this.end = 0; // one past the last sample of either
  }

  /** Add interleaved mic and ref, as they were sent. */
  addSent(start, audio) {
    this.#add(this.microphone, start, every(audio, 2, 0));
  }

  /** Add a frame of cleaned audio; of its two channels the one for the recogniser is kept. */
  addCleaned(frame) {
    this.#add(this.cleaned, frame.micStart, every(frame.audio, frame.channels, frame.channels - 1));
  }

  get empty() {
    return this.cleaned.length === 0;
  }

  /** Return a stereo WAV: left the microphone, right what was left after cancellation. */
  wav() {
    const samples = new Int16Array(2 * this.end);
    this.#place(samples, this.microphone, 0);
    this.#place(samples, this.cleaned, 1);
    return new Blob([wavHeader(2, this.rate, samples.byteLength), samples], { type: "audio/wav" });
  }

  #add(track, start, audio) {
    if (start + audio.length > this.limit) return;
    track.push([start, audio]);
    this.end = Math.max(this.end, start + audio.length);
  }

  #place(samples, track, channel) {
    for (const [start, audio] of track) {
      audio.forEach((sample, i) => (samples[2 * (start + i) + channel] = sample));
    }
  }
}

/** Take one channel of interleaved samples. */
function every(audio, channels, channel) {
  return Int16Array.from({ length: audio.length / channels }, (_, i) => audio[channels * i + channel]);
}

/** The 44 bytes before 16-bit PCM. */
export function wavHeader(channels, rate, bytes) {
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * channels * rate, true);
  view.setUint16(32, 2 * channels, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, bytes, true);
  return view.buffer;
}
