// The result of each command: shown at once, read to screen readers, and kept in a list.

import { failed } from "./admin_commands.js";
import { announce, fill, h } from "./dom.js";

/** @typedef {import("./admin_commands.js").Feedback} Feedback */

const KEPT = 50;
const SIGNS = Object.freeze({ good: "✓", doubt: "?", bad: "✗", busy: "…" });

/**
 * @typedef {object} FeedbackLog
 * @property {HTMLElement} element the list
 * @property {HTMLElement} last a copy of the newest line
 * @property {(label: string, act: () => Promise<Feedback> | Feedback) => Promise<void>} report shows a command and its result
 * @property {(feedback: Feedback) => void} say
 */

/** @returns {FeedbackLog} */
export function feedbackLog() {
  const list = h("ol", { class: "feedback", "aria-label": "Commands and what became of them" });
  const last = h("span", { class: "last", "aria-hidden": "true" }); // a copy of the newest, visible without scrolling
  const element = h("section", { class: "feedback-box", "aria-label": "Activity", hidden: true }, h("h3", {}, "Activity"), list);

  /** @param {keyof typeof SIGNS} tone @param {string} text @param {string} evidence @param {HTMLElement} [line] */
  const show = (tone, text, evidence, line = h("li")) => {
    const time = new Date().toLocaleTimeString();
    line.dataset.tone = tone;
    fill(
      line,
      h("span", { class: "sign", "aria-hidden": "true" }, SIGNS[tone]),
      h("span", {}, text),
      h("time", {}, time),
      evidence && h("code", { class: "evidence" }, evidence),
    );
    if (!line.parentElement) list.prepend(line);
    while (list.children.length > KEPT) list.lastElementChild?.remove();
    element.hidden = false;
    last.dataset.tone = tone;
    fill(last, h("span", { class: "sign" }, SIGNS[tone]), ` ${text}`);
    announce(evidence ? `${text} ${evidence}` : text, { urgent: tone === "bad" });
    return line;
  };

  return {
    element,
    last,
    say: ({ tone, text, evidence }) => void show(tone, text, evidence),
    async report(label, act) {
      const line = show("busy", `${label} …`, "");
      try {
        const { tone, text, evidence } = await act();
        show(tone, text, evidence, line);
      } catch (error) {
        const { tone, text } = failed(label, error instanceof Error ? error.message : String(error));
        show(/** @type {"bad"} */ (tone), text, "", line);
      }
    },
  };
}
