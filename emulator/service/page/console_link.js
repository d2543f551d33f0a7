// The life of one console's connection: connect, first frame, token, bytes, end, reconnect (docs/facts/azure.md 3).

import { afterClose, afterRefusal } from "./reconnect.js";

/**
 * @typedef {object} LinkState
 * @property {"idle" | "connecting" | "connected" | "waiting" | "closed"} kind
 * @property {string} reason why it waits or was closed
 * @property {number} seconds until the next attempt
 */

/**
 * @typedef {object} Outside what a link needs from its surroundings
 * @property {() => Promise<string>} connect asks for a connection string
 * @property {() => Promise<string>} token
 * @property {() => void} refused the token was refused: forget it
 * @property {(url: string) => WebSocket} open
 * @property {(run: () => void, ms: number) => number} later
 * @property {(timer: number) => void} cancel
 * @property {(text: string) => void} show the guest's text
 * @property {(state: LinkState) => void} changed
 */

/** Keeps a console connected until `stop`. */
export class ConsoleLink {
  /** @param {Outside} outside */
  constructor(outside) {
    this.outside = outside;
    /** @type {LinkState} */
    this.state = { kind: "idle", reason: "", seconds: 0 };
    this.attempt = 0;
    this.life = 0; // grows with each start and stop: events of an older life are dropped
    this.timer = 0;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.connectionString = "";
  }

  /** @returns {boolean} */
  get isOpen() {
    return this.state.kind === "connected";
  }

  /** Connect now, whatever the state. */
  async start() {
    this.drop();
    const life = (this.life += 1);
    this.become("connecting");
    try {
      const url = await this.outside.connect();
      if (life === this.life) this.listen(url, life);
    } catch (error) {
      if (life === this.life) this.act(afterRefusal({ ...describe(error), attempt: this.attempt }));
    }
  }

  /** @param {string} [reason] why it ends */
  stop(reason = "") {
    this.life += 1;
    this.drop();
    this.become("closed", reason);
  }

  /** @param {string | Uint8Array<ArrayBuffer>} data input; lost while there is no connection @returns {boolean} whether it was sent */
  send(data) {
    if (!this.isOpen || this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(data);
    return true;
  }

  /** @param {string} url @param {number} life */
  listen(url, life) {
    this.connectionString = url;
    const socket = (this.socket = this.outside.open(url));
    socket.binaryType = "arraybuffer";
    const decoder = new TextDecoder();
    let first = true;
    socket.onmessage = async ({ data }) => {
      if (life !== this.life) return;
      const text = typeof data === "string" ? data : decoder.decode(data, { stream: true });
      this.outside.show(text);
      if (!first) {
        this.attempt = 0;
        return;
      }
      first = false;
      socket.send(await this.outside.token()); // the service sends first, then expects the token
      if (life === this.life && socket.readyState === WebSocket.OPEN) this.become("connected");
    };
    socket.onclose = ({ code, reason }) => {
      if (life !== this.life) return;
      this.socket = null;
      this.act(afterClose({ code, reason, attempt: this.attempt }));
    };
  }

  /** @param {import("./reconnect.js").Next} next */
  act({ kind, delayMs, reason }) {
    this.attempt += 1;
    if (kind === "offer") {
      this.become("closed", reason);
      return;
    }
    if (kind === "sign-in") this.outside.refused();
    this.count(Math.ceil(delayMs / 1000), reason);
  }

  /** @param {number} seconds @param {string} reason */
  count(seconds, reason) {
    if (seconds <= 0) {
      void this.start();
      return;
    }
    this.become("waiting", reason, seconds);
    this.timer = this.outside.later(() => this.count(seconds - 1, reason), 1000);
  }

  /** @param {LinkState["kind"]} kind @param {string} [reason] @param {number} [seconds] */
  become(kind, reason = "", seconds = 0) {
    this.state = { kind, reason, seconds };
    this.outside.changed(this.state);
  }

  /** Release socket and timer. */
  drop() {
    this.outside.cancel(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }
}

/** @param {any} error @returns {{status: number, message: string}} */
function describe(error) {
  return { status: typeof error.status === "number" ? error.status : 0, message: String(error.message ?? error) };
}
