// Dialogs in front of the page: each settles when it is answered, and returns the focus.

import { button, field, fill, h } from "./dom.js";
import { SEQUENCES, SYSTEM_REQUESTS, areSysRqKeys } from "./keys.js";

let made = 0;

/**
 * Ask before something is destroyed; Cancel has the focus.
 * @param {{title: string, text: string, yes: string}} question
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, text, yes }) {
  return new Promise((resolve) => {
    const dialog = openDialog(title, () => resolve(false), { role: "alertdialog" });
    const answer = (/** @type {boolean} */ value) => () => (resolve(value), dialog.close());
    const cancel = button("Cancel", answer(false), { autofocus: true });
    dialog.append(h("p", {}, text), h("div", { class: "row end" }, cancel, button(yes, answer(true), { class: "danger" })));
    show(dialog);
  });
}

/**
 * Let the user choose a system request.
 * @returns {Promise<string>} its keys, "" for none
 */
export function chooseSysRq() {
  return new Promise((resolve) => {
    const dialog = openDialog("Send a system request (SysRq)", () => resolve(""));
    const send = (/** @type {string} */ keys) => (resolve(keys), dialog.close());
    const choices = (/** @type {readonly import("./keys.js").SystemRequest[]} */ list) =>
      list.map(({ key, label, destroys }) => {
        const choice = button("", () => send(key), { class: destroys ? "choice danger" : "choice" });
        choice.append(h("kbd", {}, key.toUpperCase()), ` ${label}`);
        return choice;
      });
    const typed = field("Keys of your own, sent one after the other", {
      id: "sysrq-keys", autocomplete: "off", spellcheck: "false", maxlength: 16, "aria-describedby": "sysrq-help",
    }); // prettier-ignore
    const help = h("span", { id: "sysrq-help", class: "note" }, "Letters and digits only.");
    const form = h("form", { class: "row bottom" }, typed.row, h("button", { type: "submit" }, "Send"), help);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (areSysRqKeys(typed.input.value)) return send(typed.input.value);
      typed.input.setAttribute("aria-invalid", "true");
      fill(help, "Only letters and digits can be sent: a-z, A-Z, 0-9.");
      typed.input.focus();
    });
    dialog.append(
      h("h3", {}, "Single keys"), h("div", { class: "choices" }, ...choices(SYSTEM_REQUESTS)),
      h("h3", {}, "Sequences"), h("div", { class: "choices" }, ...choices(SEQUENCES)), form,
      h("div", { class: "row end" }, button("Cancel", () => dialog.close())),
    ); // prettier-ignore
    show(dialog);
  });
}

/**
 * Make a dialog that removes itself when it is closed.
 * @param {string} title @param {() => void} [closed] @param {Record<string, string>} [attributes]
 * @returns {HTMLDialogElement}
 */
export function openDialog(title, closed = () => {}, attributes = {}) {
  const id = `dialog-${(made += 1)}`;
  const dialog = h("dialog", { "aria-labelledby": id, ...attributes }, h("h2", { id }, title));
  dialog.addEventListener("close", () => (dialog.remove(), closed()));
  return /** @type {HTMLDialogElement} */ (dialog);
}

/** @param {HTMLDialogElement} dialog */
export function show(dialog) {
  document.body.append(dialog);
  dialog.showModal();
}
