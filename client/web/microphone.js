/** The microphone of this device, without the browser's own processing. */

const PROCESSING = ["echoCancellation", "noiseSuppression", "autoGainControl"];
const OFF = Object.fromEntries(PROCESSING.map((name) => [name, false]));

export const INSECURE =
  "This browser hides the microphone from pages that are not secure. Open the page over https, or on http://localhost.";

/** Something that people must know; `message` is for them. */
export class AudioError extends Error {}

/**
 * Open the microphone.
 *
 * @throws {AudioError} if there is none, it is refused, or the page may not ask
 */
export async function openMicrophone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new AudioError(INSECURE);
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { ...OFF, channelCount: 1 } });
  } catch (error) {
    throw new AudioError(refusal(error), { cause: error });
  }
}

function refusal(error) {
  const known = {
    NotAllowedError: "The microphone was refused. Allow it for this page in the browser's address bar, then start again.",
    NotFoundError: "There is no microphone on this device.",
    NotReadableError: "The microphone is in use by another program, or the system blocks it.",
  };
  return known[error.name] ?? `The microphone did not open: ${error.message}`;
}

/** Constraints are requests: return which processing the browser left on. */
export function stillProcessed(stream) {
  const settings = stream.getAudioTracks()[0].getSettings();
  return PROCESSING.filter((name) => settings[name] !== undefined && settings[name] !== false);
}

/**
 * Watch a microphone that is open.
 *
 * @param {MediaStream} stream
 * @param {object} handlers
 * @param {() => void} handlers.onGone it was unplugged, or taken from the page
 * @param {(muted: boolean) => void} handlers.onMuted the system mutes it for a while: a phone call, a lid
 */
export function watchMicrophone(stream, { onGone, onMuted }) {
  const [track] = stream.getAudioTracks();
  track.onended = onGone;
  track.onmute = () => onMuted(true);
  track.onunmute = () => onMuted(false);
}

export function closeMicrophone(stream) {
  for (const track of stream.getTracks()) {
    track.onended = track.onmute = track.onunmute = null;
    track.stop();
  }
}
