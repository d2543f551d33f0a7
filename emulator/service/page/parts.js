// Elements that several views show.

import { h } from "./dom.js";

/**
 * The path to the current page, with links back.
 * @param {Array<[string, string]>} steps name and address; the last has none
 * @returns {HTMLElement}
 */
export function crumbs(steps) {
  /** @type {Array<[string, string]>} */
  const all = [["All resources", steps.length ? "#/" : ""], ...steps];
  const items = all.map(([name, href]) =>
    h("li", {}, href ? h("a", { href }, name) : h("span", { "aria-current": "page" }, name)),
  );
  return h("nav", { class: "crumbs", "aria-label": "Breadcrumb" }, h("ol", {}, ...items));
}

/** @param {string} power @returns {HTMLElement} a word with a dot; the word says it all */
export function powerBadge(power) {
  return h("span", { class: "badge", "data-power": power }, power);
}

/** @param {unknown} error @returns {HTMLElement} what went wrong, in the service's words */
export function problem(error) {
  const code = /** @type {any} */ (error)?.code;
  const text = error instanceof Error ? error.message : String(error);
  return h("p", { class: "refusal", role: "alert" }, code ? `${text} (${code})` : text);
}
