/** One session with the service: frames and events in both directions. */

import {
  FLAG,
  KIND,
  SUBPROTOCOL,
  closeReason,
  packFrame,
  serviceUrl,
  sessionUpdate,
  unpackFrame,
} from "./protocol.js";

const MAX_UNSENT_BYTES = 33000; // half a second; beyond it frames are dropped, and the server sees the gap

export class Connection {
  /**
   * @param {Location} location of the page
   * @param {number} rate of the samples on the wire, Hz
   * @param {object} handlers
   * @param {() => void} handlers.onReady the session is set up: audio may flow
   * @param {(event: object) => void} handlers.onEvent
   * @param {(frame: object) => void} handlers.onAudio
   * @param {(reason: string) => void} handlers.onClose not called after `close`
   */
  constructor(location, rate, handlers) {
    this.rate = rate;
    this.handlers = handlers;
    this.ready = false;
    this.seq = 0;
    this.sent = 0; // samples of each channel, on the one clock of both
    this.dropped = 0; // frames
    this.socket = new WebSocket(serviceUrl(location), SUBPROTOCOL);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.#receive(data);
    this.socket.onclose = ({ code, reason }) => this.handlers.onClose(closeReason(code, reason));
  }

  /** Send interleaved mic and ref samples; they are counted even when the network is too slow to take them. */
  sendFrame(audio) {
    if (this.socket.bufferedAmount > MAX_UNSENT_BYTES) this.dropped += 1;
    else this.socket.send(this.#pack(audio));
    this.seq += 1;
    this.sent += audio.length / 2;
  }

  sendEvent(event) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(event));
  }

  close() {
    this.ready = false;
    this.socket.onclose = null;
    this.socket.onmessage = null;
    this.socket.close(1000);
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

  #receive(data) {
    if (typeof data !== "string") {
      this.handlers.onAudio(unpackFrame(data));
      return;
    }
    const event = JSON.parse(data);
    if (event.type === "session.created") this.sendEvent(sessionUpdate(this.rate));
    this.handlers.onEvent(event);
    if (event.type === "session.updated" && !this.ready) {
      this.ready = true;
      this.handlers.onReady();
    }
  }
}
