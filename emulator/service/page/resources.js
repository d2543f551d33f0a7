// What the page shows of Resource Manager's documents. Pure.

/**
 * @typedef {object} Machine
 * @property {string} id
 * @property {string} name as people say it: "linux1", "ss1 / 0"
 * @property {"Linux" | "Windows"} os
 * @property {string} power "running", "stopped", "deallocated" …, "unknown"
 * @property {string} provisioning
 * @property {boolean} diagnostics whether boot diagnostics is on
 * @property {boolean} outdated whether it is an instance without the latest model
 * @property {Array<[string, string]>} facts label and value
 */

/** @param {any} view an instance view; @returns {string} the end of its PowerState code */
export function powerOf(view) {
  const codes = (view?.statuses ?? []).map((/** @type {any} */ status) => String(status.code ?? ""));
  const found = codes.find((/** @type {string} */ code) => code.startsWith("PowerState/"));
  return found ? found.slice("PowerState/".length) : "unknown";
}

/** @param {any} document @param {any} view @returns {"Linux" | "Windows"} docs/facts/azure.md 6 "Windows is decided by" */
export function osOf(document, view) {
  const storage = document?.properties?.storageProfile ?? {};
  const said = [view?.osName, storage.imageReference?.offer, storage.osDisk?.osType].join(" ");
  return /windows/i.test(said) ? "Windows" : "Linux";
}

/** @param {string} id @returns {Record<string, string>} the id's words and what follows each, in lower case */
export function partsOf(id) {
  const words = id.split("/").slice(1);
  /** @type {Record<string, string>} */
  const parts = {};
  for (let at = 0; at + 1 < words.length; at += 2) parts[words[at].toLowerCase()] = words[at + 1];
  return parts;
}

/** @param {string} id @returns {string} the scale set that it is an instance of, or "" */
export function scaleSetOf(id) {
  const found = /^(.*\/virtualMachineScaleSets\/[^/]+)\/virtualMachines\/[^/]+$/i.exec(id);
  return found ? found[1] : "";
}

/** @param {string} id @returns {string} */
export function nameOf(id) {
  const parts = partsOf(id);
  const set = parts.virtualmachinescalesets;
  return set && parts.virtualmachines ? `${set} / ${parts.virtualmachines}` : (parts.virtualmachines ?? set ?? id);
}

/** @param {any} document @param {any} view @returns {Machine} */
export function describeMachine(document, view) {
  const properties = document.properties ?? {};
  const id = String(document.id);
  const parts = partsOf(id);
  const os = osOf(document, view);
  const diagnostics = properties.diagnosticsProfile?.bootDiagnostics;
  /** @type {Array<[string, unknown]>} */
  const facts = [
    ["Resource group", parts.resourcegroups],
    ["Subscription", parts.subscriptions],
    ["Location", document.location],
    ["Operating system", view?.osName ? `${os} (${view.osName} ${view.osVersion ?? ""})` : os],
    ["Computer name", view?.computerName ?? properties.osProfile?.computerName],
    ["Size", properties.hardwareProfile?.vmSize ?? document.sku?.name],
    ["Generation", view?.hyperVGeneration],
    ["Provisioning", properties.provisioningState],
    ["Boot diagnostics", diagnosticsText(diagnostics)],
    ["Latest model", latestModel(properties)],
    ["VM id", properties.vmId],
    ["Tags", tagsText(document.tags)],
  ];
  return {
    id,
    name: nameOf(id),
    os,
    power: powerOf(view),
    provisioning: String(properties.provisioningState ?? ""),
    diagnostics: diagnostics?.enabled === true,
    outdated: properties.latestModelApplied === false,
    facts: facts.filter(([, value]) => value).map(([label, value]) => [label, String(value).trim()]),
  };
}

/** @param {any} diagnostics @returns {string} */
function diagnosticsText(diagnostics) {
  if (diagnostics?.enabled !== true) return "off";
  return diagnostics.storageUri ? `on, in ${diagnostics.storageUri}` : "on, in a managed storage account";
}

/** @param {any} properties @returns {string} of an instance; a VM has none */
function latestModel(properties) {
  if (typeof properties.latestModelApplied !== "boolean") return "";
  return properties.latestModelApplied ? "yes" : "no: this instance must be upgraded";
}

/** @param {any} tags @returns {string} */
function tagsText(tags) {
  return Object.entries(tags ?? {})
    .map(([name, value]) => `${name}: ${value}`)
    .join(", ");
}
