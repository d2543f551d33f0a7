// What to do when a connection fails or ends. Pure.

/**
 * @typedef {object} Next
 * @property {"retry" | "offer" | "sign-in"} kind "offer" waits for the user
 * @property {number} delayMs how long a retry waits
 * @property {string} reason in words, for people
 */

const FIRST_MS = 1000;
const MOST_MS = 30000;
/** Close codes of ends that the service decided on: takeover, idleness (1000), a deleted VM (1001), a role that went (1008). */
const ORDERLY = new Set([1000, 1001, 1008]);
const CLOSED = "The serial console connection was closed.";

/** @param {number} attempt 0 for the first @returns {number} 1, 2, 4 … 30 s */
export function delayOf(attempt) {
  return Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
}

/**
 * Decide after a WebSocket's end. The service's decisions are accepted: after a takeover, two pages would otherwise
 * evict each other for ever.
 * @param {{code: number, reason: string, attempt: number}} closed
 * @returns {Next}
 */
export function afterClose({ code, reason, attempt }) {
  const said = /[\p{L}\p{N}]$/u.test(reason) ? `${reason} …` : reason || CLOSED; // a close frame cuts at 123 bytes
  if (/expired/i.test(reason)) return { kind: "sign-in", delayMs: 0, reason: said };
  if (ORDERLY.has(code) && reason) return { kind: "offer", delayMs: 0, reason: said };
  return { kind: "retry", delayMs: delayOf(attempt), reason: said };
}

/**
 * Decide after a refused `connect`. What the user must fix is not retried automatically.
 * @param {{status: number, message: string, attempt: number}} refusal status 0: no answer
 * @returns {Next}
 */
export function afterRefusal({ status, message, attempt }) {
  if (status === 401) return { kind: "sign-in", delayMs: 0, reason: message };
  const passing = status === 0 || status === 429 || status >= 500 || /currently in progress/i.test(message);
  return { kind: passing ? "retry" : "offer", delayMs: passing ? delayOf(attempt) : 0, reason: message };
}
