// What the address says after "#": which resource, and which page of it. Pure.

/**
 * @typedef {object} Route
 * @property {"list" | "set" | "vm"} kind what is shown
 * @property {string} id resource id with its leading slash, "" for the list
 * @property {string} page of a VM: "overview", "serial", "boot" or "password"
 */

export const VM_PAGES = Object.freeze(["overview", "serial", "boot", "password"]);

const GROUP = "(?:/[^/]+){4}"; // subscriptions/S/resourceGroups/G
const VM = new RegExp(`^(${GROUP}/providers/Microsoft\\.Compute/virtualMachines/[^/]+)(?:/([a-z]+))?$`, "i");
const INSTANCE = new RegExp(
  `^(${GROUP}/providers/Microsoft\\.Compute/virtualMachineScaleSets/[^/]+/virtualMachines/[^/]+)(?:/([a-z]+))?$`,
  "i",
);
const SET = new RegExp(`^(${GROUP}/providers/Microsoft\\.Compute/virtualMachineScaleSets/[^/]+)$`, "i");
const LIST = Object.freeze({ kind: "list", id: "", page: "" });

/**
 * Read an address; an invalid one means the list.
 * @param {string} hash with or without its "#"
 * @returns {Route}
 */
export function parseRoute(hash) {
  const match = /^#?\/(vm|set)(\/.*)$/.exec(hash);
  if (!match) return LIST;
  const path = decoded(match[2]);
  if (match[1] === "set") {
    const found = SET.exec(path);
    return found ? { kind: "set", id: found[1], page: "" } : LIST;
  }
  const found = VM.exec(path) ?? INSTANCE.exec(path);
  const page = found?.[2] ?? "overview";
  return found && VM_PAGES.includes(page) ? { kind: "vm", id: found[1], page } : LIST;
}

/**
 * Write the address of a resource's page.
 * @param {Partial<Route>} route
 * @returns {string} with its "#"
 */
export function formatRoute({ kind = "list", id = "", page = "" }) {
  if (kind === "list") return "#/";
  const path = id.split("/").map(encodeURIComponent).join("/");
  return kind === "set" ? `#/set${path}` : `#/vm${path}/${page || "overview"}`;
}

/** @param {string} path */
function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return "";
  }
}
