/** One session with the service, from the tap on Start to its end. */

import { ClipAgent, ServiceAgent } from "./agent.js";
import { DuplexAudio, FRAME, RATE } from "./audio.js";
import { Connection } from "./connection.js";
import { Latency } from "./latency.js";
import { AudioError, closeMicrophone, openMicrophone, stillProcessed, watchMicrophone } from "./microphone.js";
import { KIND } from "./protocol.js";
import { refusal } from "./refusal.js";
import { Recorder } from "./recorder.js";
import { ScreenLock } from "./screen_lock.js";

const CLIP = new URL("agent.mp3", import.meta.url).href;
const LAST_WORDS_MS = 3000;
const SERVICE_AGENTS = ["narrator", "parrot", "openai"];

export class Call {
  /**
   * @param {string} agent "clip", "narrator", "parrot", "openai" or "silence"
   * @param {object} page
   * @param {(state: string, text: string) => void} page.onStatus
   * @param {(matter: string, text: string) => void} page.onNotice an empty text takes it back
   * @param {(start: number, audio: Int16Array) => void} page.onSent interleaved mic and ref
   * @param {(frame: object) => void} page.onCleaned
   * @param {(event: object, ms: number) => void} page.onEvent
   * @param {() => void} page.onReplaced another session goes on where the first one was lost
   * @param {(devices: MediaDeviceInfo[]) => void} page.onOutputs the loudspeakers to choose from
   * @param {(message: string) => void} page.onFailed it has ended
   */
  constructor(agent, page) {
    this.choice = agent;
    this.page = page;
    this.recorder = new Recorder(RATE);
    this.latency = new Latency(FRAME);
    this.screen = new ScreenLock();
    this.turns = new Map(); // item id -> whether the person still speaks; gone once its words are known
    this.over = false;
  }

  /** @throws {AudioError} if the microphone or the loudspeaker cannot be had */
  async start() {
    this.page.onStatus("busy", "Opening microphone");
    this.#listen(await openMicrophone());
    if (this.over) return this.stop(); // somebody pressed Stop while the browser was asking
    this.page.onStatus("busy", "Starting audio");
    this.audio = await DuplexAudio.open(
      this.stream,
      (frame) => this.#frame(frame),
      (halted) => this.page.onNotice("halted", halted ? "The system has stopped the sound. Tap the page to go on." : ""),
    );
    const outputs = await this.audio.outputs();
    if (this.over) return this.stop();
    this.page.onOutputs(outputs);
    this.screen.hold();
    this.page.onStatus("busy", "Connecting");
    this.connection = new Connection(window.location, RATE, this.#serviceAgent, {
      onReady: (how) => this.#ready(how),
      onEvent: (event) => this.#event(event),
      onAudio: (frame) => this.#heard(frame),
      onLost: (reason) => this.#lost(reason),
      onClose: (reason, code) => this.#closed(reason, code),
    });
  }

  /** Let go of the microphone, wait a moment for the words of turns that are open, and end it. */
  async finish() {
    this.agent?.stop();
    await this.#release();
    if (this.connection?.ready && this.turns.size > 0) {
      const speaks = [...this.turns.values()].includes(true);
      if (speaks) this.connection.sendEvent({ type: "input_audio_buffer.commit" });
      await new Promise((done) => {
        this.onSettled = done;
        setTimeout(done, LAST_WORDS_MS);
      });
    }
    await this.stop();
  }

  /** End it at once; may be called at any time and twice. */
  async stop() {
    this.over = true;
    this.agent?.stop();
    this.connection?.close();
    await this.#release();
  }

  /** Let another voice talk. */
  async choose(agent) {
    this.choice = agent;
    if (!this.connection?.began) return;
    this.connection.setAgent(this.#serviceAgent);
    await this.#raise();
  }

  /** Play on another loudspeaker. */
  async playOn(deviceId) {
    try {
      await this.audio?.playOn(deviceId);
      this.page.onNotice("output", "");
    } catch (error) {
      this.page.onNotice("output", error.message);
    }
  }

  get agentTalks() {
    return this.agent?.playing === true;
  }

  get #serviceAgent() {
    return SERVICE_AGENTS.includes(this.choice) ? this.choice : "none";
  }

  #listen(stream) {
    this.stream = stream;
    const on = stillProcessed(stream);
    const text = `The browser keeps its own ${on.join(", ")} on: what you see here is partly its work.`;
    this.page.onNotice("processing", on.length === 0 ? "" : text);
    watchMicrophone(stream, {
      onGone: () => this.#changeMicrophone(),
      onMuted: (muted) => this.page.onNotice("muted", muted ? "The system has muted the microphone." : ""),
    });
  }

  async #release() {
    if (this.stream) closeMicrophone(this.stream);
    this.screen.release();
    const audio = this.audio;
    this.audio = undefined;
    await audio?.close();
  }

  /** The microphone was unplugged: go on with another one if there is one. */
  async #changeMicrophone() {
    closeMicrophone(this.stream);
    try {
      const stream = await openMicrophone();
      if (this.over) return closeMicrophone(stream);
      this.#listen(stream);
      this.audio.replaceMicrophone(stream);
      this.page.onNotice("microphone", "The microphone was taken away; another one took its place.");
    } catch (error) {
      this.page.onFailed(`The microphone was taken away. ${error.message}`);
    }
  }

  /** Give the loudspeaker to the voice that was chosen. */
  async #raise() {
    const choice = this.choice;
    const clip = choice === "clip" ? await this.#loadClip() : new Float32Array(0);
    if (!this.audio || this.choice !== choice) return; // the loudspeaker is let go of before the end
    this.agent?.stop();
    const tell = (event) => this.connection.sendEvent(event);
    const { loudspeaker } = this.audio;
    this.agent = SERVICE_AGENTS.includes(choice) ? new ServiceAgent(loudspeaker, tell) : new ClipAgent(loudspeaker, tell, clip);
  }

  async #loadClip() {
    try {
      const answer = await fetch(CLIP);
      if (!answer.ok) throw new AudioError(`HTTP ${answer.status}`);
      return await this.audio.decode(await answer.arrayBuffer());
    } catch (error) {
      this.page.onNotice("agent", `The agent's voice could not be loaded (${error.message}).`);
      return new Float32Array(0);
    }
  }

  #ready(how) {
    this.page.onStatus("live", "Listening");
    this.page.onNotice("network", how === "replaced" ? "The service did not know the session any more: a new one goes on." : "");
    if (how === "replaced") {
      this.turns.clear();
      this.page.onReplaced();
    }
    if (how === "resumed" && this.agent) this.agent.report();
    else this.#raise();
  }

  #lost(reason) {
    this.page.onStatus("busy", "Reconnecting");
    this.page.onNotice("network", `${reason} Trying again.`);
  }

  async #closed(reason, code) {
    const refused = code === 1006 && !this.connection.began;
    this.page.onFailed(refused ? await refusal() : reason);
  }

  #frame({ audio, ...position }) {
    if (!this.connection?.began) return; // the sample clock starts with the session
    const start = this.connection.sent;
    this.agent?.played(position);
    this.recorder.addSent(start, audio);
    this.page.onSent(start, audio);
    const dropped = this.connection.dropped;
    this.connection.sendFrame(audio);
    if (this.connection.dropped > dropped) {
      this.page.onNotice("slow", `The network is too slow: ${this.connection.dropped} frames of audio did not leave.`);
    }
    const ping = this.latency.sent(start, performance.now());
    if (ping !== null) this.connection.sendEvent(ping);
  }

  #heard(frame) {
    if (frame.kind === KIND.AGENT) this.agent?.hear(frame.audio);
    if (frame.kind !== KIND.CLEANED) return;
    this.latency.cleaned(frame.micStart, performance.now());
    this.recorder.addCleaned(frame);
    this.page.onCleaned(frame);
  }

  #event(event) {
    if (event.type === "duplex.pong") this.latency.pong(event, performance.now());
    this.recorder.addEvent(event);
    this.agent?.receive(event);
    this.#followTurn(event);
    this.page.onEvent(event, (1000 * this.connection.sent) / RATE);
  }

  #followTurn({ type, item_id: item }) {
    if (type === "input_audio_buffer.speech_started") this.turns.set(item, true);
    else if (type === "input_audio_buffer.speech_stopped") this.turns.set(item, false);
    else if (/transcription\.(completed|failed)$/.test(type)) this.turns.delete(item);
    if (this.turns.size === 0) this.onSettled?.();
  }
}
