/** How long audio takes: from the end of a frame to its cleaned version, and a ping to its answer. */

const REMEMBERED = 256; // frames
const SMOOTHING = 0.1;
const PING_FRAMES = 100; // two seconds; counted in frames, which no browser slows down behind other tabs

export class Latency {
  /** @param {number} frame samples */
  constructor(frame) {
    this.frame = frame;
    this.sentAt = new Float64Array(REMEMBERED);
    this.cleanedMs = null;
    this.roundTripMs = null;
    this.pings = 0;
  }

  /** Note a frame that begins at sample `start`; return an event to send now, or null. */
  sent(start, now) {
    const index = start / this.frame;
    this.sentAt[index % REMEMBERED] = now;
    if (index % PING_FRAMES !== 0) return null;
    this.pings += 1;
    this.pingedAt = now;
    return { type: "duplex.ping", event_id: `ping_${this.pings}` };
  }

  /** Note cleaned audio that belongs to the frame at sample `micStart`. */
  cleaned(micStart, now) {
    const ms = now - this.sentAt[Math.floor(micStart / this.frame) % REMEMBERED];
    this.cleanedMs = this.cleanedMs === null ? ms : this.cleanedMs + SMOOTHING * (ms - this.cleanedMs);
  }

  pong({ ping_id: id }, now) {
    if (id === `ping_${this.pings}`) this.roundTripMs = now - this.pingedAt;
  }
}
