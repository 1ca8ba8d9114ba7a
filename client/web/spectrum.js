/** Short-time spectra for the eye: 512 samples every 20 ms, in dB. */

export const SIZE = 512;
export const BANDS = 64; // of 125 Hz each, from 0 to 8 kHz

const WINDOW = Float32Array.from({ length: SIZE }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (i + 0.5)) / SIZE));
const COS = Float32Array.from({ length: SIZE / 2 }, (_, k) => Math.cos((2 * Math.PI * k) / SIZE));
const SIN = Float32Array.from({ length: SIZE / 2 }, (_, k) => Math.sin((2 * Math.PI * k) / SIZE));
const BITS = Math.log2(SIZE);
const REVERSED = Uint16Array.from({ length: SIZE }, (_, i) => {
  let reversed = 0;
  for (let bit = 0; bit < BITS; bit++) reversed |= ((i >> bit) & 1) << (BITS - 1 - bit);
  return reversed;
});
const FULL_SCALE = (SIZE / 4) ** 2; // power of a bin that a full-scale sine is in

/** In-place FFT of `SIZE` complex numbers that are in bit-reversed order. */
function transform(re, im) {
  for (let half = 1; half < SIZE; half *= 2) {
    const stride = SIZE / (2 * half);
    for (let start = 0; start < SIZE; start += 2 * half) {
      for (let k = 0; k < half; k++) {
        const [a, b] = [start + k, start + k + half];
        const [c, s] = [COS[k * stride], SIN[k * stride]];
        const x = re[b] * c + im[b] * s;
        const y = im[b] * c - re[b] * s;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

/** Follows one signal; each `push` gives the spectrum of its newest samples. */
export class Spectrum {
  constructor() {
    this.recent = new Float32Array(SIZE);
    this.re = new Float32Array(SIZE);
    this.im = new Float32Array(SIZE);
    this.bands = new Float32Array(BANDS);
  }

  /**
   * Take every `step`-th int16 sample from `first` on.
   *
   * @returns {Float32Array} dBFS in each band, from below; the same array every time
   */
  push(audio, first, step) {
    const count = audio.length / step;
    this.recent.copyWithin(0, count);
    for (let i = 0; i < count; i++) this.recent[SIZE - count + i] = audio[first + step * i] / 32768;
    for (let i = 0; i < SIZE; i++) this.re[REVERSED[i]] = this.recent[i] * WINDOW[i];
    this.im.fill(0);
    transform(this.re, this.im);
    const bins = SIZE / 2 / BANDS;
    for (let band = 0; band < BANDS; band++) {
      let most = 1e-14;
      for (let k = band * bins; k < (band + 1) * bins; k++) {
        most = Math.max(most, (this.re[k] ** 2 + this.im[k] ** 2) / FULL_SCALE);
      }
      this.bands[band] = 10 * Math.log10(most);
    }
    return this.bands;
  }
}
