// The order of input: typed keys at once, a paste in paced pieces, and nothing overtakes. Pure except for its timer.

import { cut } from "./paste.js";

export const GAP_MS = 20;

/** Sends typed and pasted text. */
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

  /** @param {string} text @returns {Promise<void>} settles when the last piece was sent */
  paste(text) {
    for (const piece of cut(text)) this.queue.push({ text: piece, paced: true });
    return this.run();
  }

  /** Note that the guest has written something: it keeps up, so the next piece can be sent. */
  heard() {
    this.wake();
  }

  /** Drop what was not sent. */
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
