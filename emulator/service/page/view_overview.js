// A machine's properties, its power, and how to set a password (U7).

import { announce, button, fill, h } from "./dom.js";
import { confirmed } from "./dialogs.js";
import { problem } from "./parts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view_machine.js").MachineView} MachineView */

const PASSWORD_TEXTS = [
  "The serial console shows a login prompt: to get past it the guest needs a user with a password." +
    " An account that only has an SSH key can't sign in there.",
  "In Azure the VM access extension makes such a user or sets its password." +
    " No agent runs in the guests of this service, so it is done in the guest itself:",
  "In the images that ttylab builds, root and tester have the password ttylab.",
];
const UPGRADE = Object.freeze({ label: "Upgrade to the latest model", action: "", ask: "" });
/** @type {ReadonlyArray<{label: string, action: string, ask: string}>} */
const ACTIONS = [
  { label: "Start", action: "start", ask: "" },
  { label: "Restart", action: "restart", ask: "The guest is asked to shut down, then it boots again." },
  { label: "Stop", action: "powerOff", ask: "The guest is asked to shut down and stays off." },
];

/** @param {App} app @param {HTMLElement} content @param {MachineView} view */
export function showOverview(app, content, view) {
  const said = h("p", { class: "note", role: "status" });
  const list = h("dl", { class: "facts" });
  const show = () => fill(list, ...view.machine.facts.flatMap(([label, value]) => [h("dt", {}, label), h("dd", {}, value)]));
  const act = async (/** @type {typeof ACTIONS[number]} */ { label, action, ask }) => {
    const name = view.machine.name;
    if (ask && !(await confirmed({ title: `${label} ${name}?`, text: ask, yes: label }))) return;
    fill(said, `${label} ${name} …`);
    try {
      await (action ? app.arm.power(view.machine.id, action) : app.arm.upgrade(view.machine.id));
      await view.refresh();
      show();
      fill(said, `${label} ${name}: done; it is ${view.machine.power}.`);
    } catch (error) {
      fill(said, problem(error));
      announce(String(/** @type {Error} */ (error).message), { urgent: true });
    }
  };
  show();
  const offered = view.machine.outdated ? [...ACTIONS, UPGRADE] : ACTIONS;
  const buttons = offered.map((one) => button(one.label, () => void act(one)));
  const bar = h("div", { class: "row", role: "group", "aria-label": "Power" }, ...buttons);
  fill(content, h("h2", {}, "Overview"), bar, said, h("div", { class: "card" }, list));
}

/** @param {App} _app @param {HTMLElement} content @param {MachineView} view */
export function showPassword(_app, content, view) {
  const linux = view.machine.os === "Linux";
  const set = h("li", {}, "Set the password: ", h("code", {}, linux ? "passwd USER" : "net user USER *"));
  const grub = h(
    "li", {}, "Locked out? Restart the VM, press Esc for GRUB's menu, and boot with ",
    h("code", {}, "init=/bin/sh"), " added to the kernel's line.",
  ); // prettier-ignore
  const steps = h("ol", {}, h("li", {}, "Open the serial console and sign in with a user that can."), set, linux && grub);
  const [need, how, images] = PASSWORD_TEXTS.map((text) => h("p", {}, text));
  fill(content, h("h2", {}, "Reset password"), h("div", { class: "card prose" }, need, how, steps, images));
}
