/** One session with the service, over as many sockets as it takes: a lost one is opened again and resumed. */

import {
  FLAG,
  KIND,
  closeReason,
  markReplayed,
  packFrame,
  resume,
  serviceUrl,
  sessionUpdate,
  subprotocols,
  unpackFrame,
} from "./protocol.js";

const MAX_UNSENT_BYTES = 33000; // half a second; beyond it frames are dropped, and the server sees the gap
const RING_S = 2; // what the server still takes after a resume
const RETRY_MS = [0, 250, 500, 1000, 2000, 4000]; // the last one again and again
const GIVE_UP_MS = 60000;
const LOST = [1001, 1005, 1006, 1011, 1012, 1013, 4404]; // worth another try, once there was a session
const FORGOTTEN = [1011, 1012, 4404]; // … but the service has no session of ours any more

export class Connection {
  /**
   * @param {Location} location of the page
   * @param {number} rate of the samples on the wire, Hz
   * @param {string} agent see `sessionUpdate`
   * @param {object} handlers
   * @param {(how: "new" | "resumed" | "replaced") => void} handlers.onReady audio flows; a session that could
   *   not be resumed was replaced by a new one
   * @param {(event: object) => void} handlers.onEvent
   * @param {(frame: object) => void} handlers.onAudio
   * @param {(reason: string) => void} handlers.onLost it tries again
   * @param {(reason: string, code: number) => void} handlers.onClose it has given up; not called after `close`
   */
  constructor(location, rate, agent, handlers) {
    this.location = location;
    this.rate = rate;
    this.agent = agent;
    this.handlers = handlers;
    this.ready = false; // the server takes audio
    this.seq = 0;
    this.sent = 0; // samples of each channel, on the one clock of both; goes on over every loss
    this.dropped = 0; // frames that the network was too slow for
    this.ring = []; // [seq, packed frame] of the last two seconds
    this.replayed = 0; // bytes that were sent again and may still wait to leave
    this.session = null; // { id, token, lastEvent } of what can be resumed
    this.began = false; // there was a session once
    this.tries = 0;
    this.lostAt = null;
    this.#open();
  }

  /** Send interleaved mic and ref samples; they are counted and kept even when they cannot leave now. */
  sendFrame(audio) {
    const packed = this.#pack(audio);
    this.ring.push([this.seq, packed]);
    if (this.ring.length > (RING_S * this.rate) / (audio.length / 2)) this.ring.shift();
    if (this.ready) this.#sendPacked(packed);
    this.seq += 1;
    this.sent += audio.length / 2;
  }

  sendEvent(event) {
    if (this.ready) this.socket.send(JSON.stringify(event));
  }

  /** Choose who talks: holds for this session and for the one that may have to replace it. */
  setAgent(agent) {
    this.agent = agent;
    this.sendEvent({ type: "session.update", session: { duplex: { agent } } });
  }

  close() {
    clearTimeout(this.timer);
    this.#release(1000);
  }

  #open() {
    this.socket = new WebSocket(serviceUrl(this.location, this.session?.id), subprotocols(this.location));
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.#receive(data);
    this.socket.onclose = ({ code, reason }) => this.#closed(code, reason);
  }

  #release(code) {
    this.ready = false;
    this.socket.onclose = this.socket.onmessage = null;
    this.socket.close(code);
  }

  #closed(closeCode, said) {
    const full = /;? *retry_after=\d+/; // 4429 says two things
    const code = full.test(said) ? 1013 : closeCode;
    const reason = said.replace(full, "");
    this.ready = false;
    this.lostAt ??= performance.now();
    const late = performance.now() - this.lostAt > GIVE_UP_MS;
    if (!this.began || !LOST.includes(code) || late) {
      this.handlers.onClose(closeReason(code, reason), code);
      return;
    }
    if (FORGOTTEN.includes(code)) this.session = null;
    this.handlers.onLost(closeReason(code, reason));
    const wait = RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)];
    this.tries += 1;
    this.timer = setTimeout(() => this.#open(), wait);
  }

  #pack(audio) {
    return packFrame({
      kind: KIND.MIC_REF,
      flags: FLAG.ONE_CLOCK,
      seq: this.seq,
      micStart: this.sent,
      refStart: this.sent,
      samples: audio.length / 2,
      channels: 2,
      audio,
      ms: Math.round(performance.now()),
    });
  }

  #sendPacked(packed) {
    const unsent = this.socket.bufferedAmount;
    if (unsent <= MAX_UNSENT_BYTES) this.replayed = 0;
    if (unsent > MAX_UNSENT_BYTES + this.replayed) this.dropped += 1;
    else this.socket.send(packed);
  }

  #receive(data) {
    if (typeof data !== "string") {
      this.handlers.onAudio(unpackFrame(data));
      return;
    }
    const event = JSON.parse(data);
    if (event.type === "session.created") this.#greet(event.session);
    else this.session.lastEvent = event.event_id;
    this.handlers.onEvent(event);
    if (event.type === "session.updated" && !this.ready) this.#begin(event.session);
  }

  #greet({ id, resume_token: token }) {
    const hello = this.session ? resume(this.session, this.#oldest(), this.session.lastEvent) : sessionUpdate(this.rate, this.agent);
    this.session ??= { id, token };
    this.socket.send(JSON.stringify(hello));
  }

  #oldest() {
    return this.ring[0]?.[0] ?? this.seq;
  }

  #begin({ resumed, next_seq: nextSeq }) {
    this.ready = true;
    this.tries = 0;
    this.lostAt = null;
    if (resumed) this.#replay(nextSeq);
    this.handlers.onReady(!this.began ? "new" : resumed ? "resumed" : "replaced");
    this.began = true;
  }

  /** Send again what did not arrive: all of it at once, so it must not count as the network's slowness. */
  #replay(nextSeq) {
    for (const [seq, packed] of this.ring) {
      if (seq < nextSeq) continue;
      this.socket.send(markReplayed(packed));
      this.replayed += packed.byteLength;
    }
  }
}
