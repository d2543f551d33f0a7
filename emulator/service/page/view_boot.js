// Boot diagnostics: the guest's screen and its console log, by signed URLs as az fetches them.

import { announce, button, fill, h } from "./dom.js";
import { sameOrigin } from "./arm.js";
import { problem } from "./parts.js";
import { plainText } from "./plain_text.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./view_machine.js").MachineView} MachineView */

const SHOWN_MAX = 200000; // characters of the log's end

/** @param {App} app @param {HTMLElement} content @param {MachineView} view @param {AbortSignal} signal */
export async function showBoot(app, content, view, signal) {
  const body = h("div", { "aria-busy": "true" }, h("p", { class: "note" }, "Loading …"));
  const refresh = button("Refresh", () => void showBoot(app, content, view, signal));
  fill(content, h("div", { class: "title" }, h("h2", {}, "Boot diagnostics"), refresh), body);
  try {
    if (!view.machine.diagnostics) showOff(app, body, view, () => void showBoot(app, content, view, signal));
    else await showData(app, body, view, signal);
  } catch (error) {
    if (!signal.aborted) fill(body, problem(error));
  }
  body.removeAttribute("aria-busy");
}

/** @param {App} app @param {HTMLElement} body @param {MachineView} view @param {() => void} again */
function showOff(app, body, view, again) {
  const enable = button("Enable boot diagnostics", async () => {
    enable.disabled = true;
    try {
      await app.arm.enableDiagnostics(view.machine.id);
      await view.refresh();
      again();
    } catch (error) {
      fill(body, problem(error));
    }
  }, { class: "primary" }); // prettier-ignore
  fill(body, h("div", { class: "card" }, h("p", {}, "Boot diagnostics are off for this machine."), enable));
}

/** @param {App} app @param {HTMLElement} body @param {MachineView} view @param {AbortSignal} signal */
async function showData(app, body, view, signal) {
  const urls = await app.arm.bootDiagnostics(view.machine.id);
  const log = await readLog(sameOrigin(urls.log));
  if (signal.aborted) return;
  const screen = h("img", { class: "screen", src: sameOrigin(urls.screenshot), alt: `The screen of ${view.machine.name}, now` });
  screen.addEventListener("error", () => screen.replaceWith(h("p", { class: "note" }, "There is no screenshot: is the machine running?")));
  const text = h("pre", { class: "log", tabindex: "0", "aria-label": "Serial log" }, log || "The log is empty.");
  fill(body, h("h3", {}, "Screenshot"), screen, h("h3", {}, "Serial log"), text);
  text.scrollTop = text.scrollHeight;
  announce("Boot diagnostics are shown.");
}

/** @param {string} target @returns {Promise<string>} */
async function readLog(target) {
  const answer = await fetch(target, { credentials: "omit", cache: "no-store" });
  if (!answer.ok) throw new Error(`The log could not be read: HTTP ${answer.status}.`);
  return plainText(new TextDecoder().decode(await answer.arrayBuffer())).slice(-SHOWN_MAX);
}
