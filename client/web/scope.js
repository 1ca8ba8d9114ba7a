/** The scrolling picture of the last ten seconds: spectrograms, turns and words over one time axis. */

import { BANDS, Spectrum } from "./spectrum.js";
import { TurnLane } from "./turns.js";

const FRAME = 320; // samples a column
const COLUMNS = 500; // 10 s
const FLOOR_DB = -95;
const RANGE_DB = 70;
const REDRAW_MS = 80;
const CALM_REDRAW_MS = 500; // for people who asked for less motion

/** A spectrogram as a ring of columns in a picture of its own; drawing it is two copies. */
class Spectrogram {
  constructor(canvas) {
    canvas.width = COLUMNS;
    canvas.height = BANDS;
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.ring = Object.assign(document.createElement("canvas"), { width: COLUMNS, height: BANDS });
    this.ringContext = this.ring.getContext("2d", { willReadFrequently: true });
    this.column = this.ringContext.createImageData(1, BANDS);
    this.spectrum = new Spectrum();
    this.end = 0; // one past the last column
  }

  /** Add the audio of one column; of several channels the one that begins at `first`. */
  add(column, audio, first) {
    if (column < this.end) return;
    this.#clear(Math.max(this.end, column - COLUMNS), column);
    const bands = this.spectrum.push(audio, first, 2);
    const { data } = this.column;
    for (let band = 0; band < BANDS; band++) {
      const pixel = 4 * (BANDS - 1 - band);
      for (let i = 0; i < 3; i++) data[pixel + i] = this.colour[i];
      data[pixel + 3] = (255 * (bands[band] - FLOOR_DB)) / RANGE_DB; // clamped by the array
    }
    this.ringContext.putImageData(this.column, column % COLUMNS, 0);
    this.end = column + 1;
  }

  #clear(from, to) {
    for (let column = from; column < to; column++) this.ringContext.clearRect(column % COLUMNS, 0, 1, BANDS);
  }

  /** Show the columns before `head`. */
  draw(head) {
    this.context.clearRect(0, 0, COLUMNS, BANDS);
    const first = Math.max(0, head - COLUMNS, this.end - COLUMNS);
    for (let from = first; from < this.end; ) {
      const width = Math.min(this.end - from, COLUMNS - (from % COLUMNS));
      this.context.drawImage(this.ring, from % COLUMNS, 0, width, BANDS, COLUMNS - (head - from), 0, width, BANDS);
      from += width;
    }
  }

  reset() {
    this.#clear(0, COLUMNS);
    this.end = 0;
    this.draw(0);
  }
}

export class Scope {
  /** @param {Record<"mic" | "ref" | "cleaned" | "turns", HTMLCanvasElement>} canvases */
  constructor({ mic, ref, cleaned, turns }) {
    this.mic = new Spectrogram(mic);
    this.ref = new Spectrogram(ref);
    this.cleaned = new Spectrogram(cleaned);
    this.turns = new TurnLane(turns, (1000 * COLUMNS * FRAME) / 16000);
    this.channel = 0; // of the cleaned audio
    this.head = 0; // the newest column
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => this.#takeColours());
    this.#takeColours();
  }

  start() {
    for (const lane of [this.mic, this.ref, this.cleaned, this.turns]) lane.reset();
    this.head = 0;
    this.stop();
    // Asking for a frame only when one is due: each costs the browser more than what is drawn in it.
    this.timer = setInterval(() => document.hidden || requestAnimationFrame(() => this.#redraw()), this.#every);
  }

  stop() {
    clearInterval(this.timer);
  }

  /** Add interleaved mic and ref that begin at sample `start`. */
  addSent(start, audio) {
    this.head = Math.floor(start / FRAME) + 1;
    if (document.hidden) return; // nobody looks
    this.mic.add(this.head - 1, audio, 0);
    this.ref.add(this.head - 1, audio, 1);
  }

  addCleaned({ micStart, audio }) {
    if (!document.hidden) this.cleaned.add(Math.floor(micStart / FRAME), audio, this.channel);
  }

  get #every() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches ? CALM_REDRAW_MS : REDRAW_MS;
  }

  #redraw() {
    for (const lane of [this.mic, this.ref, this.cleaned]) lane.draw(this.head);
    this.turns.draw((1000 * this.head * FRAME) / 16000);
  }

  #takeColours() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    const rgb = (name) => [1, 3, 5].map((at) => parseInt(colour(name).slice(at, at + 2), 16));
    [this.mic.colour, this.ref.colour, this.cleaned.colour] = [rgb("mic"), rgb("ref"), rgb("cleaned")];
    const names = ["speech", "ref", "warm", "text", "soft"];
    this.turns.colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
  }
}
