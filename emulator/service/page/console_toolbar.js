// The buttons above a console.

import { resetMachine, restartMachine, sendNmi, sendSysRq, startMachine, stopMachine } from "./console_commands.js";
import { copySelection, pasteClipboard } from "./console_input.js";
import { button, fill, h, tick } from "./dom.js";
import { BROWSER_KEYS, SAC_KEYS } from "./keys.js";
import { menuButton } from "./menu.js";
import { openDialog, show } from "./dialogs.js";
import { FONT_SIZES, prefer, preferences } from "./preferences.js";
import { textOf } from "./terminal.js";

/** @typedef {import("./view_console.js").Console} Console */

/** Sizes that `stty` can be told; a serial line has none of its own. */
const SIZES = Object.freeze([[24, 80], [25, 80], [30, 100], [40, 120], [43, 132]]); // prettier-ignore

/**
 * @param {Console} console @param {{find: () => void, popOut: (() => void) | null}} acts
 * @returns {HTMLElement}
 */
export function toolbar(console, { find, popOut }) {
  const windows = console.view.machine.os === "Windows";
  const type = (/** @type {import("./keys.js").Key} */ key) => ({
    label: key.label,
    note: key.note,
    act: () => (console.outgoing.type(key.bytes), console.focus()),
  });
  const power = menuButton("Power", [
    { label: "Restart VM", note: "graceful", act: () => void restartMachine(console) },
    { label: "Reset VM", note: "hard, keeps the console", danger: true, act: () => void resetMachine(console) },
    { label: "Stop VM", note: "", danger: true, act: () => void stopMachine(console) },
    { label: "Start VM", note: "", act: () => void startMachine(console) },
  ]);
  const machine = [
    menuButton("Keyboard", BROWSER_KEYS.map(type)),
    windows ? menuButton("SAC", SAC_KEYS.map(type)) : button("SysRq …", () => void sendSysRq(console)),
    button("NMI …", () => void sendNmi(console)),
    power,
  ];
  const text = [
    button("Copy", () => void copySelection(console)),
    button("Paste", () => void pasteClipboard(console)),
    button("Find", find),
    button("Download", () => download(console)),
    button("Settings …", () => openSettings(console)),
    popOut && button("Pop out", popOut),
  ];
  return h(
    "div", { class: "toolbar", role: "group", "aria-label": "Console commands" },
    ...machine, h("span", { class: "grow" }), ...text,
  ); // prettier-ignore
}

/** @param {Console} console */
function download(console) {
  const url = URL.createObjectURL(new Blob([textOf(console.terminal.xterm)], { type: "text/plain" }));
  const name = console.name.replace(/[^\w.-]+/g, "-");
  h("a", { href: url, download: `${name}-console.txt` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  console.say({ tone: "good", text: "The console's text was saved.", evidence: "" });
}

/** @param {Console} console */
function openSettings(console) {
  const dialog = openDialog("Console settings", () => console.focus());
  const { fontSize, screenReader } = preferences();
  const sizes = FONT_SIZES.map((size) => h("option", { value: size, selected: size === fontSize }, `${size} px`));
  const fonts = /** @type {HTMLSelectElement} */ (h("select", { id: "font-size" }, ...sizes));
  fonts.addEventListener("change", () => prefer({ fontSize: Number(fonts.value) }));
  dialog.append(
    h("div", { class: "field" }, h("label", { for: "font-size" }, "Font size"), fonts),
    tick("Read the console to a screen reader", screenReader, (on) => prefer({ screenReader: on })),
    sizeSetting(console),
    h("div", { class: "row end" }, button("Close", () => dialog.close(), { class: "primary" })),
  );
  show(dialog);
}

/** @param {Console} console @returns {HTMLElement} */
function sizeSetting(console) {
  const { xterm } = console.terminal;
  const options = SIZES.map(([rows, cols]) =>
    h("option", { value: `${rows} ${cols}`, selected: rows === xterm.rows && cols === xterm.cols }, `${cols} × ${rows}`),
  );
  const select = /** @type {HTMLSelectElement} */ (h("select", { id: "size", "aria-describedby": "size-help" }, ...options));
  const tell = button("", () => console.outgoing.type(`${command()}\r`));
  const command = () => `stty rows ${xterm.rows} cols ${xterm.cols}`;
  const label = () => fill(tell, `Type "${command()}"`);
  label();
  select.addEventListener("change", () => {
    const [rows, cols] = select.value.split(" ").map(Number);
    xterm.resize(cols, rows);
    label();
  });
  const help = "A serial line has no window size: the guest learns of another one only from a command in its shell.";
  return h(
    "div", { class: "field" }, h("label", { for: "size" }, "Columns × rows"), h("div", { class: "row" }, select, tell),
    h("span", { class: "note", id: "size-help" }, help),
  ); // prettier-ignore
}
