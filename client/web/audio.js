/** The microphone and the loudspeaker of this device, as frames of samples on one clock. */

export const RATE = 16000;
export const FRAME = 320; // 20 ms

const PROCESSING = ["echoCancellation", "noiseSuppression", "autoGainControl"];
const OFF = Object.fromEntries(PROCESSING.map((name) => [name, false]));

/** Something that people must know; `message` is for them. */
export class AudioError extends Error {}

/**
 * Open the microphone without the browser's own processing.
 *
 * @throws {AudioError} if there is none, it is refused, or the page may not ask
 */
export async function openMicrophone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new AudioError(
      "This browser hides the microphone from pages that are not secure. Open the page over https, or on http://localhost.",
    );
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

/** One AudioContext in which an agent's clip plays while the microphone is heard. */
export class DuplexAudio {
  /**
   * @param {MediaStream} stream
   * @param {string} clipUrl
   * @param {(audio: Int16Array, playedMs: number) => void} onFrame gets interleaved mic and ref, 20 ms each
   */
  static async open(stream, clipUrl, onFrame) {
    const clip = await download(clipUrl);
    const { context, microphone } = connectMicrophone(stream);
    try {
      if (context.sampleRate < RATE) throw new Error(`${context.sampleRate} Hz is too low a sample rate`);
      await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
      const decoded = await context.decodeAudioData(clip);
      await context.resume();
      return new DuplexAudio(context, microphone, decoded.getChannelData(0), onFrame);
    } catch (error) {
      await context.close();
      throw new AudioError(`Audio did not start: ${error.message}`, { cause: error });
    }
  }

  constructor(context, microphone, clip, onFrame) {
    this.context = context;
    this.node = new AudioWorkletNode(context, "duplex", {
      outputChannelCount: [1],
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { clip, rate: RATE, frame: FRAME },
    });
    this.node.port.onmessage = ({ data }) => onFrame(data.audio, data.playedMs);
    microphone.connect(this.node).connect(context.destination);
  }

  /** Set the volume of the agent's voice, 0 to 1; at 0 it stops where it is. */
  setVolume(volume) {
    this.node.port.postMessage({ volume });
  }

  async close() {
    this.node.port.onmessage = null;
    this.node.port.postMessage({ stop: true });
    await this.context.close();
  }
}

async function download(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new AudioError(`The agent's voice could not be loaded (HTTP ${answer.status}).`);
  return answer.arrayBuffer();
}

/** Run at 16 kHz where the browser can connect a microphone to it; else at its own rate, resampled later. */
function connectMicrophone(stream) {
  for (const options of [{ sampleRate: RATE }, {}]) {
    const context = new AudioContext({ latencyHint: "interactive", ...options });
    try {
      return { context, microphone: context.createMediaStreamSource(stream) };
    } catch {
      context.close(); // Firefox: the microphone's rate is not the context's
    }
  }
  throw new AudioError("This browser cannot connect the microphone to the audio of a page.");
}
