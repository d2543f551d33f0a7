// Resource Manager as az uses it (docs/facts/azure.md 2, 4): the page has no API of its own.

import { scaleSetOf } from "./resources.js";

const COMPUTE = "2024-07-01";
const CONSOLE = "2024-07-01";
const RESOURCES = "2022-12-01";
const POLL_MS = 1000;

/** A refusal by the service: HTTP status (0: no answer), Azure's code, and the reason. */
export class Refused extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Calls Resource Manager with the identity's token. */
export class Arm {
  /** @param {import("./identity.js").Identity} identity */
  constructor(identity) {
    this.identity = identity;
  }

  /**
   * Send a request; a refused token is renewed once.
   * @param {string} method @param {string} target path and query, or URL of this service @param {any} [body]
   * @returns {Promise<Response>} an answer below 400
   */
  async send(method, target, body) {
    for (let turn = 0; ; turn += 1) {
      const token = await this.identity.token();
      const response = await fetch(target, {
        method,
        headers: { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) },
        body: body && JSON.stringify(body),
        credentials: "omit",
        cache: "no-store",
      }).catch(() => {
        throw new Refused(0, "NoAnswer", "The service did not answer. Is it running?");
      });
      if (response.ok) return response;
      if (response.status !== 401 || turn > 0) throw await refusalOf(response);
      this.identity.refuse(token);
    }
  }

  /** @param {string} path @param {string} [query] @returns {Promise<any>} */
  async read(path, query = `api-version=${COMPUTE}`) {
    return (await this.send("GET", `${path}?${query}`)).json();
  }

  /** @param {string} path @param {string} version @returns {Promise<any[]>} all pages of a list */
  async list(path, version) {
    const found = [];
    for (let next = `${path}?api-version=${version}`; next; ) {
      const page = await (await this.send("GET", next)).json();
      found.push(...page.value);
      next = page.nextLink ? sameOrigin(page.nextLink) : "";
    }
    return found;
  }

  /** @returns {Promise<any[]>} */
  subscriptions() {
    return this.list("/subscriptions", RESOURCES);
  }

  /** @param {string} subscription @param {string} type "virtualMachines" … @returns {Promise<any[]>} */
  resources(subscription, type) {
    return this.list(`/subscriptions/${subscription}/providers/Microsoft.Compute/${type}`, COMPUTE);
  }

  /** @param {string} set @returns {Promise<any[]>} */
  instances(set) {
    return this.list(`${set}/virtualMachines`, COMPUTE);
  }

  /** @param {string} id @returns {Promise<any>} */
  instanceView(id) {
    return this.read(`${id}/instanceView`);
  }

  /** @param {string} id @returns {Promise<{log: string, screenshot: string}>} signed URLs */
  async bootDiagnostics(id) {
    const answer = await this.send("POST", `${id}/retrieveBootDiagnosticsData?api-version=${COMPUTE}`);
    const found = await answer.json();
    return { log: found.serialConsoleLogBlobUri, screenshot: found.consoleScreenshotBlobUri };
  }

  /** @param {string} id @returns {Promise<string>} the connection string */
  async connect(id) {
    const path = `${portOf(id)}/connect?api-version=${CONSOLE}`;
    return (await (await this.send("POST", path, {})).json()).connectionString;
  }

  /** @param {string} id @param {string} action "start", "restart", "powerOff" @param {string} [query] */
  async power(id, action, query = "") {
    await this.finish(await this.send("POST", `${id}/${action}?api-version=${COMPUTE}${query}`));
  }

  /** @param {string} id turns boot diagnostics on; of an instance in its model, then upgrades it (U12) */
  async enableDiagnostics(id) {
    const diagnosticsProfile = { bootDiagnostics: { enabled: true } };
    const set = scaleSetOf(id);
    const properties = set ? { virtualMachineProfile: { diagnosticsProfile } } : { diagnosticsProfile };
    const query = `?api-version=${COMPUTE}`;
    await this.finish(await this.send("PATCH", `${set || id}${query}`, { properties }));
    if (set) await this.upgrade(id);
  }

  /** @param {string} id gives an instance the latest model of its scale set */
  async upgrade(id) {
    const instanceIds = [id.slice(id.lastIndexOf("/") + 1)];
    const path = `${scaleSetOf(id)}/manualupgrade?api-version=${COMPUTE}`;
    await this.finish(await this.send("POST", path, { instanceIds }));
  }

  /** @param {string} id enables the serial port that `connect` needs */
  async enablePort(id) {
    await this.send("PUT", `${portOf(id)}?api-version=${CONSOLE}`, { properties: { state: "enabled" } });
  }

  /** @param {string} subscription GUID */
  async enableConsole(subscription) {
    const service = `/subscriptions/${subscription}/providers/Microsoft.SerialConsole/consoleServices/default`;
    await this.send("POST", `${service}/enableConsole?api-version=${CONSOLE}`);
  }

  /**
   * Wait for a long-running operation to end (docs/facts/azure.md 4 "LRO").
   * @param {Response} answer of the request that began it
   */
  async finish(answer) {
    const poll = answer.headers.get("Azure-AsyncOperation");
    if (!poll) return;
    for (;;) {
      const state = await (await this.send("GET", sameOrigin(poll))).json();
      if (state.status === "Failed" || state.status === "Canceled") {
        throw new Refused(409, state.error?.code ?? state.status, state.error?.message ?? "The operation failed.");
      }
      if (state.status === "Succeeded") return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** @param {string} id @returns {string} */
function portOf(id) {
  return `${id}/providers/Microsoft.SerialConsole/serialPorts/0`;
}

/** @param {string} url the service's own @returns {string} path and query: a token is sent only to this origin */
export function sameOrigin(url) {
  const parsed = new URL(url, location.href);
  return parsed.pathname + parsed.search;
}

/** @param {Response} response @returns {Promise<Refused>} */
export async function refusalOf(response) {
  const body = await response.json().catch(() => ({}));
  const error = body.error ?? body;
  return new Refused(response.status, String(error.code ?? ""), String(error.message ?? `HTTP ${response.status}`));
}
