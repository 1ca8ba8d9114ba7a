/** Keeps the screen on during a call: a phone that locks itself takes the microphone away. */

export class ScreenLock {
  constructor() {
    this.held = false;
    this.lock = null;
    this.again = () => document.visibilityState === "visible" && this.#request(); // browsers drop it with the tab
  }

  hold() {
    this.held = true;
    document.addEventListener("visibilitychange", this.again);
    this.#request();
  }

  release() {
    this.held = false;
    document.removeEventListener("visibilitychange", this.again);
    this.lock?.release();
    this.lock = null;
  }

  async #request() {
    try {
      const lock = await navigator.wakeLock?.request("screen");
      if (this.held) this.lock = lock;
      else lock?.release();
    } catch {
      // A low battery, or a browser that does not: the call goes on until the screen locks.
    }
  }
}
