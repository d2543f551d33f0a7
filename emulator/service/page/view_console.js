// The serial console of one machine: terminal, toolbar, state, and results of commands.

import { feedbackLog } from "./console_feedback.js";
import { findBar } from "./console_find.js";
import { wireInput } from "./console_input.js";
import { ConsoleLink } from "./console_link.js";
import { statusLine } from "./console_status.js";
import { toolbar } from "./console_toolbar.js";
import { announce, button, fill, h } from "./dom.js";
import { Outgoing } from "./outgoing.js";
import { popOut } from "./popout.js";
import { onPreference } from "./preferences.js";
import { openTerminal } from "./terminal.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view_machine.js").MachineView} MachineView */

/**
 * @typedef {object} Console what the parts of the view share
 * @property {App} app
 * @property {MachineView} view
 * @property {string} name
 * @property {import("./terminal.js").ConsoleTerminal} terminal
 * @property {ConsoleLink} link
 * @property {Outgoing} outgoing
 * @property {() => void} reconnect
 * @property {() => void} focus
 * @property {ReturnType<typeof feedbackLog>["say"]} say
 * @property {ReturnType<typeof feedbackLog>["report"]} report
 */

/** @param {App} app @param {HTMLElement} content @param {MachineView} view @param {AbortSignal} signal */
export function showConsole(app, content, view, signal) {
  const { name, os } = view.machine;
  const title = h("span", { class: "guest-title" });
  const screen = h("div", { class: "screen-box" });
  const frame = h("div", { class: "console-frame", role: "region", "aria-label": `Console of ${name}` }, screen);
  const heading = h("div", { class: "title" }, app.popped ? h("h1", {}, `${name}: Serial console`) : h("h2", {}, "Serial console"), title);
  fill(content, heading, frame); // xterm.js measures its font, so it needs to be in the page first
  const terminal = openTerminal(screen, {
    rows: os === "Windows" ? 25 : 24, // SAC's screen (docs/facts/azure.md 8)
    cols: 80,
    label: `Console of ${name}. Control F6 leaves it.`,
    onTitle: (text) => fill(title, text),
  });
  const log = feedbackLog();
  const console = assemble(app, view, terminal, log);
  const status = statusLine(console);
  status.element.append(log.last);
  console.link.outside.changed = (state) => status.show(state);
  const find = findBar(console);
  const bar = toolbar(console, { find: find.open, popOut: app.popped ? null : () => moveOut(console, content) });
  fill(content, heading, bar, status.element, find.element, frame, hint(), log.element);
  wireInput(console, frame, () => leave(bar));
  onPreference(terminal.restyle, signal);
  signal.addEventListener("abort", () => (console.link.stop(), terminal.xterm.dispose()));
  if (!app.popped) addEventListener("beforeunload", (event) => holdBack(console, event), { signal });
  void console.link.start();
  console.focus();
}

/** @param {Console} console @param {Event} event Ctrl+W deletes a word in a shell and closes a tab in a browser: ask */
function holdBack(console, event) {
  if (console.link.isOpen && console.app.identity.current) event.preventDefault();
}

/** @param {App} app @param {MachineView} view @param {Console["terminal"]} terminal @param {ReturnType<typeof feedbackLog>} log @returns {Console} */
function assemble(app, view, terminal, log) {
  const outgoing = new Outgoing((text) => void link.send(text));
  const link = new ConsoleLink({
    connect: () => app.arm.connect(view.machine.id),
    token: () => app.identity.token(),
    refused: () => app.identity.refuse(app.identity.current?.token ?? ""),
    open: (url) => new WebSocket(url),
    later: (run, ms) => setTimeout(run, ms),
    cancel: (timer) => clearTimeout(timer),
    show: (text) => (outgoing.heard(), terminal.xterm.write(text)),
    changed: () => {},
  });
  const reconnect = () => (outgoing.clear(), void link.start(), terminal.xterm.focus());
  const focus = () => terminal.xterm.focus();
  return { app, view, name: view.machine.name, terminal, link, outgoing, reconnect, focus, ...log };
}

/** @param {HTMLElement} bar takes the focus when it leaves the terminal */
function leave(bar) {
  /** @type {HTMLElement | null} */ (bar.querySelector("button"))?.focus();
  announce("Left the console.");
}

/** @returns {HTMLElement} */
function hint() {
  return h(
    "p", { class: "note keys" },
    h("kbd", {}, "Tab"), " enters the console, ", h("kbd", {}, "Ctrl+F6"), " leaves it; ",
    h("kbd", {}, "Ctrl+Shift+C"), " copies, ", h("kbd", {}, "Ctrl+Shift+V"), " pastes.",
  ); // prettier-ignore
}

/** @param {Console} console @param {HTMLElement} content */
function moveOut(console, content) {
  const { link, say, app } = console;
  const child = popOut(app.identity, location.hash, () => {
    placeholder.remove();
    content.classList.remove("moved");
    if (content.isConnected) console.reconnect();
  });
  if (!child) return say({ tone: "bad", text: "The browser did not allow another window.", evidence: "" });
  link.stop("The console is in a window of its own.");
  const back = button("Bring it back", () => child.close(), { class: "primary" });
  const placeholder = h("div", { class: "card placeholder" }, h("p", {}, "The console is in a window of its own."), back);
  content.classList.add("moved");
  content.prepend(placeholder);
  back.focus();
}
