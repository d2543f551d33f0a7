// The order in which input leaves: typed keys at once, a paste in paced pieces, nothing overtakes. Pure but for its timer.

import { cut } from "./paste.js";

export const GAP_MS = 20;

/** Sends what is typed and pasted. */
export class Outgoing {
  /**
   * @param {(text: string) => void} send
   * @param {(run: () => void, ms: number) => void} later
   */
  constructor(send, later = (run, ms) => void setTimeout(run, ms)) {
    this.send = send;
    this.later = later;
    /** @type {Array<{text: string, paced: boolean}>} */
    this.queue = [];
    this.running = false;
    /** @type {() => void} */
    this.wake = () => {};
  }

  /** @param {string} text one key's worth; waits only behind a paste */
  type(text) {
    this.queue.push({ text, paced: false });
    void this.run();
  }

  /** @param {string} text @returns {Promise<void>} settles when the last piece has left */
  paste(text) {
    for (const piece of cut(text)) this.queue.push({ text: piece, paced: true });
    return this.run();
  }

  /** Tell that the guest has written something: it keeps up, so the next piece can go. */
  heard() {
    this.wake();
  }

  /** Forget what has not left. */
  clear() {
    this.queue.length = 0;
    this.wake();
  }

  /** @returns {Promise<void>} */
  async run() {
    if (this.running) return;
    this.running = true;
    for (let next = this.queue.shift(); next; next = this.queue.shift()) {
      this.send(next.text);
      if (next.paced) await this.pause();
    }
    this.running = false;
  }

  /** @returns {Promise<void>} after an echo, or after GAP_MS */
  pause() {
    return new Promise((resolve) => {
      this.wake = () => resolve();
      this.later(() => resolve(), GAP_MS);
    });
  }
}
