/**
 * The client's side of `/v1/realtime`: binary frames and the events that the page sends.
 *
 * docs/protocol.md has the byte table. The server and the Python client have their own reading of it on
 * purpose: all are held to the golden vectors in tests/golden.
 */

export const SUBPROTOCOL = "duplex.v1";
export const VERSION = 1;
export const CODEC_INT16 = 1;
export const HEADER_BYTES = 32;

export const KIND = Object.freeze({ MIC_REF: 1, MIC: 2, REF: 3, AGENT: 16, CLEANED: 17 });
export const FLAG = Object.freeze({
  DISCONTINUITY: 1,
  REF_SILENT: 2,
  ONE_CLOCK: 4,
  REPLAYED: 8,
  MUTED: 16,
});

export class WireError extends Error {}

/**
 * Write one binary message.
 *
 * @param {object} frame
 * @param {number} frame.kind what the channels are, see `KIND`
 * @param {number} frame.flags see `FLAG`
 * @param {number} frame.seq counts the sender's frames; wraps at 32 bits
 * @param {number} frame.micStart first sample on the mic clock, at the wire rate
 * @param {number} frame.refStart first sample on the ref clock, at the wire rate
 * @param {number} frame.samples of each channel
 * @param {number} frame.channels 1 or 2; 0 for a silent reference that is left out
 * @param {Int16Array} frame.audio interleaved samples
 * @param {number} frame.ms sender's monotonic milliseconds; wraps at 32 bits
 * @returns {ArrayBuffer}
 */
export function packFrame({ kind, flags, seq, micStart, refStart, samples, channels, audio, ms }) {
  if (audio.length !== samples * channels) throw new RangeError(`${audio.length} samples of audio: not ${samples} x ${channels}`);
  const buffer = new ArrayBuffer(HEADER_BYTES + 2 * audio.length);
  const view = new DataView(buffer);
  view.setUint8(0, kind);
  view.setUint8(1, VERSION);
  view.setUint16(2, flags, true);
  view.setUint32(4, seq, true);
  view.setBigUint64(8, BigInt(micStart), true);
  view.setBigUint64(16, BigInt(refStart), true);
  view.setUint16(24, samples, true);
  view.setUint8(26, channels);
  view.setUint8(27, CODEC_INT16);
  view.setUint32(28, ms, true);
  new Int16Array(buffer, HEADER_BYTES).set(audio); // every browser's machine is little-endian
  return buffer;
}

/** Return a copy of a packed frame that says it is sent again after a resume. */
export function markReplayed(packed) {
  const copy = packed.slice(0);
  const view = new DataView(copy);
  view.setUint16(2, view.getUint16(2, true) | FLAG.REPLAYED, true);
  return copy;
}

/**
 * Read one binary message; the result has the fields that `packFrame` takes.
 *
 * @param {ArrayBuffer} buffer
 * @throws {WireError} if the header is short, of another version or codec, or does not fit its payload
 */
export function unpackFrame(buffer) {
  if (buffer.byteLength < HEADER_BYTES) {
    throw new WireError(`a frame of ${buffer.byteLength} bytes has no whole header`);
  }
  const view = new DataView(buffer);
  const [version, codec] = [view.getUint8(1), view.getUint8(27)];
  if (version !== VERSION || codec !== CODEC_INT16) {
    throw new WireError(`frame of version ${version}, codec ${codec}: this page reads 1 and 1`);
  }
  const [samples, channels] = [view.getUint16(24, true), view.getUint8(26)];
  const payload = buffer.byteLength - HEADER_BYTES;
  if (channels > 2 || payload !== 2 * samples * channels) {
    throw new WireError(`${payload} payload bytes for ${samples} samples x ${channels}`);
  }
  return {
    kind: view.getUint8(0),
    flags: view.getUint16(2, true),
    seq: view.getUint32(4, true),
    micStart: Number(view.getBigUint64(8, true)), // exact: the protocol ends at 2^53
    refStart: Number(view.getBigUint64(16, true)),
    samples,
    channels,
    audio: new Int16Array(buffer, HEADER_BYTES),
    ms: view.getUint32(28, true),
  };
}

/**
 * Ask for what the page shows: transcripts, statistics ten times a second, and the cleaned audio.
 *
 * @param {number} rate of the audio on the wire, Hz
 * @param {string} agent who talks at the service: "none", "narrator", "parrot" or "openai"
 */
export function sessionUpdate(rate, agent) {
  return {
    type: "session.update",
    session: {
      type: "transcription",
      audio: { input: { format: { type: "audio/pcm", rate } } },
      duplex: { cleaned_audio: true, stats_hz: 10, agent },
    },
  };
}

/** Ask for a session that lost its connection, frames from `nextSeq` on can be sent again, and for what came after an event. */
export function resume({ id, token }, nextSeq, lastEventId) {
  return { type: "duplex.resume", session: id, token, next_seq: nextSeq, last_event_id: lastEventId };
}

/** Say whether the agent's voice plays, and how much of an item has been heard. */
export function playback(playing, itemId, playedMs) {
  return { type: "duplex.playback", playing, item_id: itemId, played_ms: Math.round(playedMs) };
}

/** Return where the service of a page lives; the id of a session to resume is for whoever routes. */
export function serviceUrl(location, session) {
  const url = new URL("v1/realtime", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = session ? new URLSearchParams({ session }) : "";
  url.hash = "";
  return url.href;
}

/**
 * Return what to offer when the socket is opened. The token stands behind the `#` of the page's address, which
 * no browser sends; the socket takes it as a subprotocol, which no proxy logs.
 */
export function subprotocols(location) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  return /^[\w.~-]+$/.test(token ?? "") ? [SUBPROTOCOL, `openai-insecure-api-key.${token}`] : [SUBPROTOCOL];
}

/** Say in words why a socket closed, for people. */
export function closeReason(code, reason) {
  const known = {
    1006: "The connection to the service was lost.",
    1012: "The service is restarting. Start again in a moment.",
    1013: "The service is full. Try again later.",
    1011: "The session failed inside the service.",
    4400: "The service could not read the audio of this page.",
    4401: "The service wants a token: open the page with #token=… behind its address.",
    4404: "The service does not know the session any more.",
    4408: "The service heard nothing for too long and closed the session.",
    4409: "The session went on in another window.",
    4410: "The session reached its longest duration.",
    4429: "The audio arrived too late: the connection or this device is too slow.",
  };
  const text = known[code] ?? `The service closed the session (${code}).`;
  return reason ? `${text} It said: ${reason}` : text;
}
