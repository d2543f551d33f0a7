// Search in the scrollback.

import { announce, button, field, fill, h } from "./dom.js";

/** @typedef {import("./view_console.js").Console} Console */

const MARKS = Object.freeze({
  matchBackground: "#7a5200", matchOverviewRuler: "#d29922", activeMatchBackground: "#0b5cad", activeMatchColorOverviewRuler: "#58a6ff",
}); // prettier-ignore

/** @param {Console} console @returns {{element: HTMLElement, open: () => void}} */
export function findBar(console) {
  const { search, xterm } = console.terminal;
  const { row, input } = field("Find in the console", { id: "find", type: "search", spellcheck: "false", autocomplete: "off" });
  const count = h("span", { class: "note" });
  const options = { decorations: MARKS };
  const next = () => input.value && search.findNext(input.value, options);
  const back = () => input.value && search.findPrevious(input.value, options);
  const close = () => {
    element.hidden = true;
    search.clearDecorations();
    xterm.clearSelection();
    console.focus();
  };
  const element = h(
    "div", { class: "find", role: "search", hidden: true }, row,
    button("Previous", back), button("Next", next), count, button("Close", close, { class: "quiet" }),
  ); // prettier-ignore
  input.addEventListener("input", back);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    else if (event.key !== "Enter" || event.target !== input) return;
    else if (event.shiftKey) next();
    else back(); // the newest text is at the bottom, so the first search goes up
    event.preventDefault();
  });
  search.onDidChangeResults(({ resultIndex, resultCount }) => {
    const said = resultCount ? `${resultIndex + 1} of ${resultCount}` : "Not found";
    fill(count, input.value ? said : "");
    if (input.value) announce(said);
  });
  return { element, open: () => ((element.hidden = false), input.select(), input.focus()) };
}
