/** A change of sample rate with a windowed sinc, in polyphase form: any rational ratio, one stream, any chunk size. */

const STOPBAND_BETA = 8; // of the Kaiser window: about 80 dB

/** Modified Bessel function of the first kind, order 0. */
function bessel0(x) {
  let [sum, term] = [1, 1];
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function kaiser(t) {
  return Math.abs(t) >= 1 ? 0 : bessel0(STOPBAND_BETA * Math.sqrt(1 - t * t)) / bessel0(STOPBAND_BETA);
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/** Coefficients of each of `phases` sub-filters; the cutoff is a share of the input rate. */
function subFilters(phases, taps, cutoff) {
  return Array.from({ length: phases }, (_, phase) => {
    const filter = Float32Array.from({ length: taps }, (_, tap) => {
      const t = tap + 1 - taps / 2 - phase / phases; // in input samples, from the centre
      return sinc(2 * cutoff * t) * kaiser((2 * t) / taps);
    });
    const gain = filter.reduce((sum, coefficient) => sum + coefficient, 0);
    return filter.map((coefficient) => coefficient / gain); // DC passes unchanged in every phase
  });
}

export class Resampler {
  /**
   * @param {number} inRate sample rate of what comes, Hz
   * @param {number} outRate sample rate of what leaves, Hz
   */
  constructor(inRate, outRate) {
    if (!(inRate > 0 && outRate > 0)) throw new RangeError(`cannot resample ${inRate} to ${outRate} Hz`);
    const divisor = gcd(inRate, outRate);
    this.up = outRate / divisor;
    this.down = inRate / divisor;
    const share = Math.min(1, outRate / inRate); // of the band that is left
    const taps = 2 * Math.ceil(33 / share); // to 16 kHz, 6.7 kHz passes and 8 kHz does not
    this.filters = this.up === this.down ? null : subFilters(this.up, taps, 0.46 * share);
    this.history = new Float32Array(taps);
    this.phase = 0; // of the next output, after the newest input, in 1/up of an input sample
  }

  /** Begin another stream. */
  reset() {
    this.history.fill(0);
    this.phase = 0;
  }

  /**
   * Take samples and return those that became ready, half a filter late.
   *
   * @param {Float32Array} chunk
   * @returns {Float32Array}
   */
  push(chunk) {
    if (this.filters === null) return chunk;
    const taps = this.history.length;
    const line = new Float32Array(taps + chunk.length);
    line.set(this.history);
    line.set(chunk, taps);
    const out = new Float32Array(Math.ceil(((chunk.length + 1) * this.up) / this.down));
    let ready = 0;
    for (let end = taps + 1; end <= line.length; end++) {
      while (this.phase < this.up) {
        out[ready++] = this.#dot(line, end - taps, this.filters[this.phase]);
        this.phase += this.down;
      }
      this.phase -= this.up;
    }
    this.history = line.slice(line.length - taps);
    return out.subarray(0, ready);
  }

  #dot(line, start, filter) {
    let sum = 0;
    for (let i = 0; i < filter.length; i++) sum += line[start + i] * filter[i];
    return sum;
  }
}
