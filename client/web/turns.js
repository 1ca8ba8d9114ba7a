/** The lane of turns: when somebody spoke, what was made of it, and the words at their place in time. */

const ROW = 18; // CSS pixels
const ROWS = 3; // bars, remarks, words

export class TurnLane {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} windowMs that it shows
   */
  constructor(canvas, windowMs) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.windowMs = windowMs;
    this.now = 0;
    this.reset();
  }

  reset() {
    this.turns = new Map(); // item id -> { start, end, over, text, final, marks: [{ at, text, strong }] }
    this.now = 0;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  begin(id, startMs, overAgent) {
    this.turns.set(id, { start: startMs, end: null, over: overAgent, text: "", final: false, marks: [] });
  }

  /** Remark something at a moment; `strong` is drawn as a line through the lane. */
  mark(id, atMs, text, strong = false) {
    this.turns.get(id)?.marks.push({ at: atMs, text, strong });
  }

  words(id, text, final) {
    const turn = this.turns.get(id);
    if (turn) Object.assign(turn, { text, final });
  }

  end(id, endMs, reason) {
    const turn = this.turns.get(id);
    if (!turn) return;
    turn.end = endMs;
    turn.marks.push({ at: endMs, text: reason, strong: false });
  }

  /** Leave open turns where they are: their session is gone. */
  closeAll() {
    for (const turn of this.turns.values()) turn.end ??= this.now;
    this.turns = new Map([...this.turns].map(([id, turn]) => [Symbol(id), turn]));
  }

  draw(nowMs) {
    this.now = nowMs;
    this.#forget(nowMs - this.windowMs);
    this.#fit();
    const { context } = this;
    const width = this.canvas.clientWidth;
    const x = (ms) => width * (1 - (nowMs - ms) / this.windowMs);
    context.clearRect(0, 0, width, ROWS * ROW);
    this.#grid(x, nowMs, width);
    this.free = Array(ROWS).fill(width); // where newer text begins in each row: older text ends there
    for (const turn of [...this.turns.values()].reverse()) this.#turn(turn, x, nowMs);
  }

  #forget(before) {
    for (const [id, turn] of this.turns) {
      if (turn.end !== null && turn.end < before - this.windowMs) this.turns.delete(id);
    }
  }

  #fit() {
    const scale = window.devicePixelRatio;
    const [width, height] = [Math.round(this.canvas.clientWidth * scale), Math.round(ROWS * ROW * scale)];
    if (this.canvas.width === width && this.canvas.height === height) return;
    [this.canvas.width, this.canvas.height] = [width, height];
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.context.font = "12px system-ui, sans-serif";
    this.context.textBaseline = "middle";
  }

  /** Mark whole seconds. */
  #grid(x, nowMs, width) {
    this.context.fillStyle = this.colours.soft;
    this.context.globalAlpha = 0.35;
    for (let ms = 1000 * Math.ceil((nowMs - this.windowMs) / 1000); ms < nowMs; ms += 1000) {
      this.context.fillRect(Math.min(width - 1, x(ms)), ROW - 3, 1, 3);
    }
    this.context.globalAlpha = 1;
  }

  #turn(turn, x, nowMs) {
    const { context, colours } = this;
    const [from, to] = [x(turn.start), x(turn.end ?? nowMs)];
    context.fillStyle = turn.over ? colours.warm : colours.speech;
    context.fillRect(from, 3, Math.max(2, to - from), ROW - 6);
    for (const { at, text, strong } of [...turn.marks].sort((a, b) => b.at - a.at)) {
      context.fillStyle = strong ? colours.text : colours.soft;
      context.fillRect(x(at), 0, strong ? 2 : 1, ROW);
      this.#write(text, x(at) + 1, 1, 1);
    }
    context.fillStyle = turn.final ? colours.text : colours.soft;
    this.#write(turn.text, from, 2, 0.2);
  }

  /**
   * Write at `x`, or as far to its left as the right edge demands, up to where newer text begins; not at all
   * if less than a share `least` of it would be seen.
   */
  #write(text, x, row, least) {
    const { context } = this;
    const { width } = context.measureText(text);
    const left = Math.min(x, Math.max(2, this.canvas.clientWidth - width - 2));
    if (text === "" || this.free[row] - left < least * width) return;
    context.save();
    context.beginPath();
    context.rect(0, row * ROW, this.free[row] - 4, ROW);
    context.clip();
    context.fillText(text, left, (row + 0.5) * ROW);
    context.restore();
    this.free[row] = Math.min(this.free[row], left);
  }
}
