// The state of the connection in words, and the buttons that help.

import { announce, button, fill, h } from "./dom.js";
import { findRemedy } from "./remedies.js";
import { partsOf } from "./resources.js";

/** @typedef {import("./console_link.js").LinkState} LinkState */
/** @typedef {import("./view_console.js").Console} Console */

const WORDS = Object.freeze({
  idle: "Not connected",
  connecting: "Connecting …",
  connected: "Connected",
  waiting: "Disconnected",
  closed: "Disconnected",
});

/** @param {LinkState} state @returns {string} */
export function stateText({ kind, reason, seconds }) {
  if (kind === "waiting") return `${reason} Trying again in ${seconds} s; Enter tries now.`;
  if (kind === "closed") return reason ? `${reason} Press Enter to reconnect.` : "Press Enter to connect.";
  return "";
}

/** @param {Console} console @returns {{element: HTMLElement, show: (state: LinkState) => void}} */
export function statusLine(console) {
  const badge = h("span", { class: "badge", id: "link-state" });
  const words = h("span", { class: "words" });
  const buttons = h("span", { class: "row" });
  const element = h("div", { class: "status", role: "group", "aria-label": "Connection" }, badge, words, buttons);
  let before = "";
  return {
    element,
    show(state) {
      fill(badge, WORDS[state.kind]);
      badge.dataset.link = state.kind;
      fill(words, stateText(state));
      const now = `${state.kind} ${state.reason}`;
      if (now === before) return; // a countdown's seconds are shown, but not announced
      before = now;
      announce(`${WORDS[state.kind]}. ${stateText(state)}`, { urgent: state.kind === "closed" && state.reason !== "" });
      fill(buttons, ...helpFor(console, state));
    },
  };
}

/** @param {Console} console @param {LinkState} state @returns {HTMLElement[]} */
function helpFor(console, state) {
  const remedy = findRemedy(state.reason);
  const found = remedy ? [button(remedy.label, () => void mend(console, remedy), { class: "primary" })] : [];
  if (state.kind === "closed" || state.kind === "waiting") found.push(button("Reconnect", () => console.reconnect()));
  return found;
}

/** @param {Console} console @param {import("./remedies.js").Remedy} remedy */
async function mend(console, { act, label }) {
  const { arm } = console.app;
  const { id } = console.view.machine;
  const acts = {
    diagnostics: () => arm.enableDiagnostics(id),
    enable: () => arm.enableConsole(partsOf(id).subscriptions),
    port: () => arm.enablePort(id),
    start: () => arm.power(id, "start"),
  };
  await console.report(label, async () => {
    await acts[act]();
    await console.view.refresh();
    console.reconnect();
    return { tone: "good", text: `${label}: done.`, evidence: "" };
  });
}
