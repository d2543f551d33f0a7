// From the service's reason to what the user can do about it. Pure.

/**
 * @typedef {object} Remedy
 * @property {"diagnostics" | "enable" | "port" | "start"} act
 * @property {string} label of the button
 */

/** @type {ReadonlyArray<[RegExp, Remedy]>} texts of docs/facts/azure.md 8 */
const REMEDIES = [
  [/requires boot diagnostics to be enabled/i, { act: "diagnostics", label: "Enable boot diagnostics" }],
  [/requires a virtual machine to be running/i, { act: "start", label: "Start the VM" }],
  [/is not enabled for this subscription/i, { act: "enable", label: "Enable serial console for the subscription" }],
  [/serial port 0 of this VM is disabled/i, { act: "port", label: "Enable serial port 0" }],
];

/** @param {string} message the service's @returns {Remedy | null} */
export function findRemedy(message) {
  return REMEDIES.find(([pattern]) => pattern.test(message))?.[1] ?? null;
}
