/** How the agent behaves when somebody talks: it lowers its voice, stops, and goes on after the turn. */

const DUCKED = 0.25;
const PAUSE_MS = 1200; // between the end of a person's turn and the agent's next word

export class Agent {
  /**
   * @param {(volume: number) => void} setVolume
   * @param {(playing: boolean) => void} onChange
   */
  constructor(setVolume, onChange) {
    this.setVolume = setVolume;
    this.onChange = onChange;
    this.wanted = false; // the user lets it talk
    this.playing = false;
    this.timer = null;
  }

  /** Let it talk, or keep it quiet until it may again. */
  allow(wanted) {
    this.wanted = wanted;
    this.#volume(wanted ? 1 : 0);
  }

  receive(event) {
    switch (event.type) {
      case "duplex.barge_in":
        this.#volume(event.stage === "commit" || !this.playing ? 0 : DUCKED);
        break;
      case "duplex.false_interruption":
        this.#volume(1);
        break;
      case "input_audio_buffer.speech_started":
        clearTimeout(this.timer);
        break;
      case "input_audio_buffer.speech_stopped":
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.#volume(1), PAUSE_MS);
        break;
    }
  }

  stop() {
    clearTimeout(this.timer);
    this.allow(false);
  }

  #volume(volume) {
    const allowed = this.wanted ? volume : 0;
    this.setVolume(allowed);
    if (this.playing === allowed > 0) return;
    this.playing = allowed > 0;
    this.onChange(this.playing);
  }
}
