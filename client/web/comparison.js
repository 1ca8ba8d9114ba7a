/** Plays a session back, and switches between its tracks at the same place: microphone against cleaned audio. */

export class Comparison {
  /**
   * @param {HTMLElement} section holds an `audio` element and radio buttons named `track`
   * @param {(ms: number) => void} onMoment told where it plays, a few times a second
   */
  constructor(section, onMoment) {
    this.section = section;
    this.player = section.querySelector("audio");
    this.choices = [...section.querySelectorAll("input[name=track]")];
    this.urls = {};
    for (const choice of this.choices) choice.addEventListener("change", () => this.#switch());
    this.player.addEventListener("timeupdate", () => onMoment(1000 * this.player.currentTime));
    this.clear();
  }

  get available() {
    return this.player.hasAttribute("src");
  }

  /** Take a session that is over; while it runs, what is played would be one more echo. */
  load(recorder) {
    this.clear();
    this.urls = Object.fromEntries(this.choices.map(({ value }) => [value, URL.createObjectURL(recorder.wav(value))]));
    this.section.disabled = false;
    this.player.src = this.urls[this.#chosen()];
  }

  clear() {
    this.player.pause();
    this.player.removeAttribute("src");
    this.player.load();
    this.section.disabled = true;
    for (const url of Object.values(this.urls)) URL.revokeObjectURL(url);
    this.urls = {};
  }

  playFrom(ms) {
    if (!this.available) return;
    this.player.currentTime = ms / 1000;
    this.player.play();
  }

  #chosen() {
    return this.choices.find(({ checked }) => checked).value;
  }

  #switch() {
    if (!this.available) return;
    const { currentTime, paused } = this.player;
    this.player.src = this.urls[this.#chosen()];
    this.player.currentTime = currentTime;
    if (!paused) this.player.play();
  }
}
