// Keys, copy and paste of one terminal.

import { button, h } from "./dom.js";
import { PASTE_MAX, lengthOf, preparePaste } from "./paste.js";

/** @typedef {import("./view_console.js").Console} Console */

/**
 * Wire a terminal's input.
 * @param {Console} console @param {HTMLElement} frame around the terminal @param {() => void} leave moves the focus out
 */
export function wireInput(console, frame, leave) {
  const { xterm } = console.terminal;
  xterm.attachCustomKeyEventHandler((event) => handleKey(console, event, leave));
  xterm.onData((text) => {
    if (console.link.isOpen) console.outgoing.type(text);
    else if (text === "\r") console.reconnect();
  });
  xterm.onBinary((text) => void console.link.send(Uint8Array.from(text, (character) => character.charCodeAt(0))));
  // Before xterm.js sees it: a paste is limited, cleaned and paced.
  frame.addEventListener("paste", (event) => {
    event.preventDefault();
    event.stopPropagation();
    paste(console, event.clipboardData?.getData("text/plain") ?? "");
  }, { capture: true }); // prettier-ignore
  frame.addEventListener("contextmenu", (event) => openContextMenu(console, frame, event));
}

/** @param {Console} console @param {string} text */
export function paste(console, text) {
  if (!text) return;
  const length = lengthOf(text);
  if (length > PASTE_MAX) {
    const [has, most] = [length, PASTE_MAX].map((count) => count.toLocaleString("en"));
    const said = `Nothing was pasted: the text has ${has} characters, and at most ${most} can be pasted at once.`;
    console.say({ tone: "bad", text: said, evidence: "" });
  } else if (!console.link.isOpen) {
    console.say({ tone: "bad", text: "Nothing was pasted: the console is not connected.", evidence: "" });
  } else {
    const bracketed = console.terminal.xterm.modes.bracketedPasteMode;
    void console.outgoing.paste(preparePaste(text, { bracketed }));
  }
  console.focus();
}

/** @param {Console} console */
export async function copySelection(console) {
  const text = console.terminal.xterm.getSelection();
  if (!text) return console.say({ tone: "doubt", text: "Nothing is selected to be copied.", evidence: "" });
  try {
    await navigator.clipboard.writeText(text);
    console.say({ tone: "good", text: `Copied ${lengthOf(text).toLocaleString("en")} characters.`, evidence: "" });
  } catch {
    console.say({ tone: "bad", text: "The browser did not allow copying.", evidence: "" });
  }
}

/** @param {Console} console */
export async function pasteClipboard(console) {
  try {
    paste(console, await navigator.clipboard.readText());
  } catch {
    console.say({ tone: "bad", text: "The browser did not allow pasting; Ctrl+Shift+V does it too.", evidence: "" });
  }
}

/**
 * @param {Console} console @param {KeyboardEvent} event @param {() => void} leave
 * @returns {boolean} whether the terminal may have the key
 */
function handleKey(console, event, leave) {
  if (event.ctrlKey && event.key === "F6") {
    event.preventDefault();
    if (event.type === "keydown") leave();
    return false;
  }
  const copies = (event.ctrlKey && event.shiftKey && event.code === "KeyC") || (event.ctrlKey && event.key === "Insert");
  if (copies) {
    event.preventDefault();
    if (event.type === "keydown") void copySelection(console);
    return false;
  }
  // The browser turns these into a paste event.
  return !((event.ctrlKey && event.shiftKey && event.code === "KeyV") || (event.shiftKey && event.key === "Insert"));
}

/** @param {Console} console @param {HTMLElement} frame @param {MouseEvent} event */
function openContextMenu(console, frame, event) {
  event.preventDefault();
  frame.querySelector(".context")?.remove();
  const { xterm } = console.terminal;
  const menu = h("div", { class: "menu context", role: "menu", "aria-label": "Console" });
  const close = () => menu.remove();
  /** @param {string} label @param {() => void} act @param {boolean} [disabled] */
  const item = (label, act, disabled = false) =>
    button(label, () => (close(), act()), { role: "menuitem", disabled });
  menu.append(
    item("Copy", () => void copySelection(console), !xterm.hasSelection()),
    item("Paste", () => void pasteClipboard(console)),
    item("Select all", () => xterm.selectAll()),
    item("Clear scrollback", () => xterm.clear()),
  );
  menu.addEventListener("focusout", ({ relatedTarget }) => {
    if (!menu.contains(/** @type {Node | null} */ (relatedTarget))) close();
  });
  menu.addEventListener("keydown", (key) => {
    const items = [...menu.querySelectorAll("button:enabled")];
    const at = items.indexOf(/** @type {Element} */ (document.activeElement));
    if (key.key === "Escape") (close(), console.focus());
    else if (key.key === "ArrowDown") /** @type {HTMLElement} */ (items[(at + 1) % items.length]).focus();
    else if (key.key === "ArrowUp") /** @type {HTMLElement} */ (items.at(at - 1)).focus();
  });
  const box = frame.getBoundingClientRect();
  menu.style.left = `${event.clientX - box.left}px`;
  menu.style.top = `${event.clientY - box.top}px`;
  frame.append(menu);
  /** @type {HTMLElement} */ (menu.querySelector("button:enabled")).focus();
}
