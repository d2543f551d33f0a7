// NMI, SysRq and reset through the gateway, and their effects in words.

import { refusalOf, sameOrigin } from "./arm.js";

/** @typedef {{tone: "good" | "doubt" | "bad", text: string, evidence: string}} Feedback */

const NAMES = Object.freeze({ nmi: "NMI", reset: "Reset", sysrq: "SysRq" });

/**
 * Return the URL of an admin command; az makes it from the connection string by replacing text (docs/facts/azure.md 2).
 * @param {string} connectionString @param {string} command @returns {string}
 */
export function adminUrl(connectionString, command) {
  return connectionString.replace(/^wss:/, "https:").replace(/\/client(\?.*)?$/, `/adminCommand/${command}`);
}

/**
 * Send an admin command and wait for its effect.
 * @param {{connectionString: string, token: () => Promise<string>}} link
 * @param {"nmi" | "reset" | "sysrq"} command @param {string} [keys] of a SysRq
 * @returns {Promise<Feedback>}
 */
export async function sendAdmin({ connectionString, token }, command, keys = "") {
  const name = keys ? `${NAMES[command]} ${keys}` : NAMES[command];
  const url = sameOrigin(adminUrl(connectionString, command));
  const parameters = keys ? { SysRqCommand: keys } : {};
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { Authorization: `Bearer ${await token()}`, Accept: "application/json", "Content-Type": "application/json" },
      body: JSON.stringify({ command, requestId: crypto.randomUUID(), commandParameters: parameters }),
      credentials: "omit",
    });
    if (!response.ok) return failed(name, (await refusalOf(response)).message);
    return judge(name, await response.json().catch(() => ({})));
  } catch (error) {
    return failed(name, error instanceof Error ? error.message : String(error));
  }
}

/** @param {string} name @param {any} answer @returns {Feedback} */
export function judge(name, answer) {
  const evidence = String(answer.evidence ?? "").slice(0, 400);
  if (answer.effect === "seen") return { tone: "good", text: `${name}: done, and the guest reacted.`, evidence };
  if (answer.effect === "refused") return { tone: "bad", text: `${name}: the guest refused.`, evidence };
  return { tone: "doubt", text: `${name}: sent, but no effect was seen.`, evidence };
}

/** @param {string} name @param {string} reason @returns {Feedback} */
export function failed(name, reason) {
  return { tone: "bad", text: `${name} failed: ${reason}`, evidence: "" };
}
