// The terminal: xterm.js 6, restricted so that a guest's escape sequences affect only the text.

import { SearchAddon } from "/page/xterm/addon-search.mjs";
import { Terminal } from "/page/xterm/xterm.mjs";

import { isDark, preferences } from "./preferences.js";

export const SCROLLBACK = 5000;
const TITLE_MAX = 80;
/** OSC that affect more than the text: links and the clipboard. They are dropped; a link's text stays. */
const FENCED_OSC = Object.freeze([8, 52]);

/** @typedef {import("@xterm/xterm").Terminal} Xterm */

/**
 * @typedef {object} ConsoleTerminal
 * @property {Xterm} xterm
 * @property {SearchAddon} search
 * @property {() => void} restyle applies the preferences
 */

/**
 * Open a terminal in `parent`.
 * @param {HTMLElement} parent
 * @param {{rows: number, cols: number, label: string, onTitle: (title: string) => void}} options
 * @returns {ConsoleTerminal}
 */
export function openTerminal(parent, { rows, cols, label, onTitle }) {
  giveStylesTheNonce();
  const xterm = new Terminal({
    rows,
    cols,
    scrollback: SCROLLBACK,
    cursorBlink: false,
    fontFamily: '"DejaVu Sans Mono", "Cascadia Mono", Menlo, Consolas, monospace',
    minimumContrastRatio: 4.5, // WCAG AA whatever colours a guest chooses
    linkHandler: { activate: () => {} },
    windowOptions: {}, // a guest may neither move the window nor ask for its title
    allowProposedApi: true, // for the search's decorations
    ...chosen(),
  });
  const search = new SearchAddon();
  xterm.loadAddon(search);
  for (const code of FENCED_OSC) xterm.parser.registerOscHandler(code, () => true);
  xterm.onTitleChange((title) => onTitle(plainTitle(title)));
  xterm.open(parent);
  xterm.textarea?.setAttribute("aria-label", label);
  return { xterm, search, restyle: () => Object.assign(xterm.options, chosen()) };
}

/** @param {string} title a guest's @returns {string} short, and without what is not text */
export function plainTitle(title) {
  return title.replace(/[\p{C}]/gu, "").slice(0, TITLE_MAX);
}

/** @param {Xterm} xterm @returns {string} all lines, wrapped ones rejoined, without what is empty at the end */
export function textOf(xterm) {
  const buffer = xterm.buffer.normal;
  let text = "";
  for (let row = 0; row < buffer.length; row += 1) {
    const line = buffer.getLine(row);
    const goesOn = buffer.getLine(row + 1)?.isWrapped ?? false;
    text += (line?.translateToString(!goesOn) ?? "") + (goesOn ? "" : "\n");
  }
  return `${text.trimEnd()}\n`;
}

/** @returns {import("@xterm/xterm").ITerminalOptions} what the preferences decide */
function chosen() {
  const { fontSize, screenReader } = preferences();
  return { fontSize, screenReaderMode: screenReader, theme: isDark() ? DARK : LIGHT };
}

const LIGHT = Object.freeze({
  background: "#ffffff", foreground: "#1b1f24", cursor: "#0b5cad", cursorAccent: "#ffffff",
  selectionBackground: "#b3d7ff", black: "#1b1f24", red: "#b3261e", green: "#116329", yellow: "#7a5200",
  blue: "#0b5cad", magenta: "#8250df", cyan: "#0d6a76", white: "#57606a", brightBlack: "#57606a",
  brightRed: "#a40e26", brightGreen: "#1a7f37", brightYellow: "#633c01", brightBlue: "#218bff",
  brightMagenta: "#a475f9", brightCyan: "#3192aa", brightWhite: "#1b1f24",
}); // prettier-ignore

const DARK = Object.freeze({
  background: "#0d1117", foreground: "#e6edf3", cursor: "#6cb6ff", cursorAccent: "#0d1117",
  selectionBackground: "#2f5686", black: "#484f58", red: "#ff7b72", green: "#3fb950", yellow: "#d29922",
  blue: "#58a6ff", magenta: "#bc8cff", cyan: "#39c5cf", white: "#c9d1d9", brightBlack: "#8b949e",
  brightRed: "#ffa198", brightGreen: "#56d364", brightYellow: "#e3b341", brightBlue: "#79c0ff",
  brightMagenta: "#d2a8ff", brightCyan: "#56d4dd", brightWhite: "#ffffff",
}); // prettier-ignore

/**
 * Let xterm.js make style elements under the page's Content-Security-Policy: it has no option for a nonce, so
 * elements that it creates get the one that the page was served with.
 */
function giveStylesTheNonce() {
  const nonce = /** @type {HTMLLinkElement | null} */ (document.querySelector("link[nonce]"))?.nonce ?? "";
  if (Object.hasOwn(document, "createElement")) return;
  const create = document.createElement.bind(document);
  /** @param {string} tag @param {ElementCreationOptions} [options] */
  document.createElement = (tag, options) => {
    const element = create(tag, options);
    if (tag === "style") element.nonce = nonce;
    return element;
  };
}
