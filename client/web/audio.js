/** The microphone and the loudspeaker of this device, as frames of samples on one clock. */

import { AudioError } from "./microphone.js";

export const RATE = 16000;
export const FRAME = 320; // 20 ms

const WAKING = ["visibilitychange", "pointerdown", "keydown"]; // phones halt sound; it goes on only for somebody who is there

/** One AudioContext in which the agent's voice plays while the microphone is heard. */
export class DuplexAudio {
  /**
   * @param {MediaStream} stream
   * @param {(frame: {audio: Int16Array, clipMs: number, itemMs: number, queuedMs: number}) => void} onFrame gets
   *   20 ms of interleaved mic and ref, and how far the voice has come
   * @param {(halted: boolean) => void} onHalted the system has stopped all sound, as for a phone call, or lets it go on
   */
  static async open(stream, onFrame, onHalted) {
    routeToLoudspeaker();
    const { context, microphone } = connectMicrophone(stream);
    try {
      await loadWorklet(context);
      await context.resume();
      return new DuplexAudio(context, microphone, onFrame, onHalted);
    } catch (error) {
      await context.close();
      if (error instanceof AudioError) throw error;
      throw new AudioError(`Audio did not start: ${error.message}`, { cause: error });
    }
  }

  constructor(context, microphone, onFrame, onHalted) {
    this.context = context;
    this.microphone = microphone;
    this.node = new AudioWorkletNode(context, "duplex", {
      outputChannelCount: [1],
      channelCount: 1,
      channelCountMode: "explicit",
      processorOptions: { rate: RATE, frame: FRAME },
    });
    this.node.port.onmessage = ({ data }) => onFrame(data);
    microphone.connect(this.node).connect(context.destination);
    context.onstatechange = () => onHalted(context.state !== "running");
    this.wake = () => document.hidden || context.resume();
    for (const event of WAKING) document.addEventListener(event, this.wake);
  }

  /** Go on with another microphone on the same clock. */
  replaceMicrophone(stream) {
    this.microphone.disconnect();
    this.microphone = this.context.createMediaStreamSource(stream);
    this.microphone.connect(this.node);
  }

  /** The face that the agents know. */
  get loudspeaker() {
    const { port } = this.node;
    return {
      volume: (volume) => port.postMessage({ volume }),
      clip: (clip) => port.postMessage({ clip }),
      item: () => port.postMessage({ item: true }),
      play: (play) => port.postMessage({ play }),
      cut: () => port.postMessage({ cut: true }),
    };
  }

  /** Return the loudspeakers that one may choose from; none where the browser does not let one choose. */
  async outputs() {
    if (!this.context.setSinkId) return [];
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices.filter(({ kind, deviceId }) => kind === "audiooutput" && deviceId !== "");
  }

  /** @throws {AudioError} if the loudspeaker cannot be used */
  async playOn(deviceId) {
    try {
      await this.context.setSinkId(deviceId === "default" ? "" : deviceId);
    } catch (error) {
      throw new AudioError(`That loudspeaker cannot be used: ${error.message}`, { cause: error });
    }
  }

  /** Milliseconds that the browser says its own buffers add, microphone not included. */
  get latencyMs() {
    return 1000 * (this.context.baseLatency + (this.context.outputLatency ?? 0));
  }

  async decode(file) {
    return (await this.context.decodeAudioData(file)).getChannelData(0);
  }

  async close() {
    this.context.onstatechange = null;
    for (const event of WAKING) document.removeEventListener(event, this.wake);
    this.node.port.onmessage = null;
    this.node.port.postMessage({ stop: true });
    await this.context.close();
  }
}

async function loadWorklet(context) {
  try {
    await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
  } catch (error) {
    throw new AudioError("A part of this page could not be loaded: the service does not answer. Is it running?", { cause: error });
  }
}

/** Where a browser can be asked: play on the loudspeaker while the microphone is open, not on the earpiece. */
function routeToLoudspeaker() {
  if (navigator.audioSession) navigator.audioSession.type = "play-and-record";
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
