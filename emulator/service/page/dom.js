// Elements made in one call. Text is always a text node: nothing from a guest or the service becomes markup.

/** @typedef {Node | string | null | false | undefined} Child */

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] "on…" are listeners; false, null and undefined are left out
 * @param {...Child} children
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...kept(children));
  return element;
}

/** @param {Element} parent @param {...Child} children its new content */
export function fill(parent, ...children) {
  parent.replaceChildren(...kept(children));
}

/** @param {string} label @param {() => void} act @param {Record<string, any>} [attributes] @returns {HTMLButtonElement} */
export function button(label, act, attributes = {}) {
  return /** @type {HTMLButtonElement} */ (h("button", { type: "button", onclick: act, ...attributes }, label));
}

/**
 * A labelled input.
 * @param {string} label
 * @param {Record<string, any>} attributes `id` is needed
 * @returns {{row: HTMLElement, input: HTMLInputElement}}
 */
export function field(label, attributes) {
  const input = /** @type {HTMLInputElement} */ (h("input", attributes));
  return { row: h("div", { class: "field" }, h("label", { for: attributes.id }, label), input), input };
}

/** @param {string} label @param {boolean} checked @param {(on: boolean) => void} change @returns {HTMLElement} */
export function tick(label, checked, change) {
  const box = /** @type {HTMLInputElement} */ (
    h("input", { type: "checkbox", checked, onchange: () => change(box.checked) })
  );
  return h("label", { class: "tick" }, box, label);
}

/**
 * Announce something to screen readers; showing it is up to the caller.
 * @param {string} text
 * @param {{urgent?: boolean}} [options]
 */
export function announce(text, { urgent = false } = {}) {
  const region = document.getElementById(urgent ? "urgent" : "polite");
  if (!region) return;
  // Repeated words must be read again, but a region is only read when it changes.
  region.textContent = region.textContent === text ? `${text}\u00a0` : text;
}

/** @param {Child[]} children @returns {Array<Node | string>} */
function kept(children) {
  return /** @type {Array<Node | string>} */ (
    children.filter((child) => child !== null && child !== false && child !== undefined)
  );
}
