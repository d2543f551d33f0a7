// Menu buttons as WAI-ARIA's practices describe them: arrows, Home, End, first letters, Escape; the focus returns.

import { button, h } from "./dom.js";

/** @typedef {{label: string, note?: string, danger?: boolean, act: () => void}} MenuItem */

let made = 0;

/**
 * Make a button that opens a menu.
 * @param {string} label @param {MenuItem[]} items
 * @returns {HTMLElement} the button and its menu
 */
export function menuButton(label, items) {
  const id = `menu-${(made += 1)}`;
  const opener = button(label, () => toggle(), { "aria-haspopup": "menu", "aria-expanded": "false", "aria-controls": id });
  opener.classList.add("opens");
  const list = h("div", { class: "menu", id, role: "menu", "aria-label": label, hidden: true, onkeydown: onMenuKey });
  const choices = items.map((item) => choice(item, () => close(false)));
  list.append(...choices);
  const box = h("div", { class: "menu-box" }, opener, list);
  opener.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    open(event.key === "ArrowDown" ? 0 : choices.length - 1);
  });
  box.addEventListener("focusout", (event) => {
    if (!box.contains(/** @type {Node | null} */ (event.relatedTarget))) close(false);
  });

  function toggle() {
    if (list.hidden) open(0);
    else close(true);
  }

  /** @param {number} index */
  function open(index) {
    list.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    choices[index].focus();
  }

  /** @param {boolean} refocus */
  function close(refocus) {
    list.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    if (refocus) opener.focus();
  }

  /** @param {KeyboardEvent} event */
  function onMenuKey(event) {
    if (event.key === "Escape") close(true);
    else if (event.key === "Tab") return close(false);
    else if (!move(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {string} key @returns {boolean} whether it moved */
  function move(key) {
    const at = choices.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const to = target(key, at, choices);
    if (to === null) return key === "Escape";
    choices[to].focus();
    return true;
  }

  return box;
}

/** @param {MenuItem} item @param {() => void} close @returns {HTMLButtonElement} */
function choice(item, close) {
  const element = button("", () => (close(), item.act()), { role: "menuitem", tabindex: "-1" });
  element.append(h("span", {}, item.label), item.note ? h("span", { class: "note" }, item.note) : "");
  element.classList.toggle("danger", item.danger === true);
  return element;
}

/** @param {string} key @param {number} at @param {HTMLElement[]} choices @returns {number | null} */
function target(key, at, choices) {
  const count = choices.length;
  if (key === "ArrowDown") return (at + 1) % count;
  if (key === "ArrowUp") return (at + count - 1) % count;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (key.length !== 1 || key === " ") return null;
  for (let step = 1; step <= count; step += 1) {
    const index = (at + step) % count;
    if (choices[index].textContent?.toLowerCase().startsWith(key.toLowerCase())) return index;
  }
  return null;
}
