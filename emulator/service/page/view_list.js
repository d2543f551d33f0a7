// All resources, and the instances of a scale set: the way to a console starts here (U11, U12).

import { announce, button, fill, h } from "./dom.js";
import { nameOf, osOf, partsOf, powerOf } from "./resources.js";
import { formatRoute } from "./routes.js";
import { crumbs, powerBadge, problem } from "./parts.js";

/** @typedef {import("./app.js").App} App */
/** @typedef {{id: string, kind: string, os: string, power: string, group: string, location: string, model: string}} Row */

/** @param {App} app @param {HTMLElement} main @param {AbortSignal} signal */
export async function showResources(app, main, signal) {
  const refresh = button("Refresh", () => void showResources(app, main, signal));
  await showTable(main, signal, {
    head: [h("div", { class: "title" }, h("h1", {}, "All resources"), refresh)],
    load: () => loadResources(app),
    columns: ["Name", "Type", "State", "System", "Group", "Location"],
    cells: (row) => [link(row), row.kind, badge(row), row.os, row.group, row.location],
    empty: "There are no virtual machines or scale sets that you may see.",
  });
}

/** @param {App} app @param {HTMLElement} main @param {string} set @param {AbortSignal} signal */
export async function showInstances(app, main, set, signal) {
  const refresh = button("Refresh", () => void showInstances(app, main, set, signal));
  await showTable(main, signal, {
    head: [crumbs([[nameOf(set), ""]]), h("div", { class: "title" }, h("h1", {}, `${nameOf(set)}: Instances`), refresh)],
    load: () => loadInstances(app, set),
    columns: ["Instance", "State", "System", "Latest model"],
    cells: (row) => [link(row), badge(row), row.os, row.model],
    empty: "This scale set has no instances.",
  });
}

/**
 * @typedef {object} Table
 * @property {HTMLElement[]} head
 * @property {() => Promise<Row[]>} load
 * @property {string[]} columns
 * @property {(row: Row) => Array<Node | string>} cells
 * @property {string} empty
 */

/** @param {HTMLElement} main @param {AbortSignal} signal @param {Table} table */
async function showTable(main, signal, { head, load, columns, cells, empty }) {
  const body = h("div", { class: "card", "aria-busy": "true" }, h("p", { class: "note" }, "Loading …"));
  fill(main, h("div", { class: "page" }, ...head, body));
  try {
    const rows = await load();
    if (signal.aborted) return;
    const lines = rows.map((row) => h("tr", {}, ...cells(row).map((cell) => h("td", {}, cell))));
    const titles = columns.map((name) => h("th", { scope: "col" }, name));
    fill(body, rows.length ? h("table", {}, h("thead", {}, h("tr", {}, ...titles)), h("tbody", {}, ...lines)) : empty);
    announce(rows.length ? `${rows.length} rows` : empty);
  } catch (error) {
    if (!signal.aborted) fill(body, problem(error));
  }
  body.removeAttribute("aria-busy");
}

/** @param {App} app @returns {Promise<Row[]>} */
async function loadResources({ arm }) {
  const subscriptions = await arm.subscriptions();
  const ids = subscriptions.map((one) => String(one.subscriptionId));
  const vms = (await Promise.all(ids.map((id) => arm.resources(id, "virtualMachines")))).flat();
  const sets = (await Promise.all(ids.map((id) => arm.resources(id, "virtualMachineScaleSets")))).flat();
  const machines = await Promise.all(vms.map((vm) => machineRow(arm, vm)));
  return [...machines, ...sets.map(setRow)].sort((one, other) => one.id.localeCompare(other.id));
}

/** @param {App} app @param {string} set @returns {Promise<Row[]>} */
async function loadInstances({ arm }, set) {
  return Promise.all((await arm.instances(set)).map((instance) => machineRow(arm, instance)));
}

/** @param {App["arm"]} arm @param {any} document @returns {Promise<Row>} */
async function machineRow(arm, document) {
  const view = await arm.instanceView(document.id).catch(() => null);
  const latest = document.properties?.latestModelApplied;
  return {
    ...place(document),
    kind: "Virtual machine",
    os: osOf(document, view),
    power: powerOf(view),
    model: latest === false ? "no: upgrade it" : "yes",
  };
}

/** @param {any} document @returns {Row} */
function setRow(document) {
  const count = document.sku?.capacity;
  const kind = count === undefined ? "Scale set" : `Scale set of ${count}`;
  const model = { properties: document.properties?.virtualMachineProfile };
  return { ...place(document), kind, os: osOf(model, null), power: "", model: "" };
}

/** @param {any} document */
function place(document) {
  return { id: String(document.id), group: partsOf(document.id).resourcegroups ?? "", location: String(document.location ?? "") };
}

/** @param {Row} row @returns {HTMLElement} */
function link(row) {
  const kind = row.kind.startsWith("Scale set") ? "set" : "vm";
  return h("a", { href: formatRoute({ kind, id: row.id, page: "overview" }) }, nameOf(row.id));
}

/** @param {Row} row @returns {HTMLElement | string} */
function badge(row) {
  return row.power ? powerBadge(row.power) : "";
}
