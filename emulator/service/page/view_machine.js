// One VM or instance: its name and power, the menu of its pages, and the page that is chosen (U11, U12).

import { button, fill, h } from "./dom.js";
import { crumbs, powerBadge, problem } from "./parts.js";
import { describeMachine, nameOf, scaleSetOf } from "./resources.js";
import { formatRoute } from "./routes.js";
import { showBoot } from "./view_boot.js";
import { showConsole } from "./view_console.js";
import { showOverview, showPassword } from "./view_overview.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {import("./resources.js").Machine} Machine */
/** @typedef {import("./routes.js").Route} Route */

/**
 * @typedef {object} MachineView
 * @property {Machine} machine as last read
 * @property {() => Promise<Machine>} refresh reads it again and shows its power
 */

const SHOW = Object.freeze({ overview: showOverview, serial: showConsole, boot: showBoot, password: showPassword });

/** @param {App} app @param {HTMLElement} main @param {Route} route @param {AbortSignal} signal */
export async function showMachine(app, main, route, signal) {
  const badge = h("span", { "aria-live": "polite" });
  const menu = h("div");
  const content = h("section", { class: "content", "aria-label": nameOf(route.id) }, h("p", { class: "note" }, "Loading …"));
  fill(main, app.popped ? content : frame(route, badge, menu, content));
  /** @type {MachineView} */
  const view = {
    machine: /** @type {any} */ (null),
    async refresh() {
      const [document, instance] = await Promise.all([app.arm.read(route.id), app.arm.instanceView(route.id)]);
      view.machine = describeMachine(document, instance);
      fill(badge, powerBadge(view.machine.power));
      fill(menu, sideMenu(route, view.machine));
      return view.machine;
    },
  };
  try {
    await view.refresh();
  } catch (error) {
    if (!signal.aborted) fill(content, problem(error));
    return;
  }
  if (!signal.aborted) SHOW[/** @type {keyof typeof SHOW} */ (route.page)](app, content, view, signal);
}

/** @param {Route} route @param {HTMLElement} badge @param {HTMLElement} menu @param {HTMLElement} content @returns {HTMLElement} */
function frame(route, badge, menu, content) {
  const set = scaleSetOf(route.id);
  /** @type {Array<[string, string]>} */
  const steps = [[nameOf(route.id), ""]];
  if (set) steps.unshift([nameOf(set), formatRoute({ kind: "set", id: set })]);
  const title = h("div", { class: "title" }, h("h1", {}, nameOf(route.id)), badge);
  return h("div", { class: "page wide" }, crumbs(steps), title, h("div", { class: "blade" }, menu, content));
}

/**
 * The menu. An instance has a console once it has the boot diagnostics of its scale set's model (U12).
 * @param {Route} route @param {Machine} machine
 * @returns {HTMLElement}
 */
function sideMenu(route, machine) {
  /** @param {string} page @param {string} label */
  const item = (page, label) =>
    h("li", {}, h("a", { href: formatRoute({ ...route, page }), "aria-current": page === route.page && "page" }, label));
  const withheld = scaleSetOf(route.id) !== "" && !machine.diagnostics;
  const why = "Serial console: enable boot diagnostics in the scale set's model, then upgrade this instance.";
  const help = h(
    "ul", { id: "support" }, withheld ? h("li", { class: "note" }, why) : item("serial", "Serial console"),
    item("boot", "Boot diagnostics"), item("password", "Reset password"),
  ); // prettier-ignore
  const toggle = button("Support + troubleshooting", () => {
    help.hidden = !help.hidden;
    toggle.setAttribute("aria-expanded", String(!help.hidden));
  }, { class: "quiet section", "aria-expanded": "true", "aria-controls": "support" }); // prettier-ignore
  return h("nav", { class: "side", "aria-label": "Pages of this machine" }, h("ul", {}, item("overview", "Overview")), toggle, help);
}
