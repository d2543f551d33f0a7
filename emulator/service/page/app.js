// The parts that every view receives.

import { Arm } from "./arm.js";
import { Identity } from "./identity.js";
import { askToSignIn } from "./view_sign_in.js";

const METADATA = "/metadata/endpoints?api-version=2022-09-01";

/**
 * @typedef {object} CloudFacts
 * @property {string} name "AzureCloud" …
 * @property {string} audience of tokens
 * @property {string} tenant to sign in at unless the user says otherwise
 */

/**
 * @typedef {object} App
 * @property {Arm} arm
 * @property {Identity} identity
 * @property {CloudFacts} cloud
 * @property {boolean} popped whether this is a separate window with one console
 */

/** @returns {Promise<CloudFacts>} */
export async function readCloud() {
  const answer = await fetch(METADATA, { credentials: "omit" }).catch(() => null);
  const facts = answer?.ok ? await answer.json().catch(() => ({})) : {};
  return {
    name: String(facts.name ?? "AzureCloud"),
    audience: String(facts.authentication?.audiences?.[0] ?? location.origin),
    tenant: String(facts.authentication?.tenant ?? "common"),
  };
}

/** @param {CloudFacts} cloud @param {boolean} popped @returns {App} */
export function makeApp(cloud, popped) {
  /** @type {Identity} */
  const identity = new Identity(() => {
    const before = identity.current;
    return askToSignIn({ ...cloud, name: before?.name ?? "", again: before !== null });
  });
  return { arm: new Arm(identity), identity, cloud, popped };
}

/** @param {string} name of the cloud @returns {string} its limits by U5, "" for general availability */
export function availability(name) {
  if (/china/i.test(name)) return "Serial Console is not available in the China cloud";
  if (/government/i.test(name)) return "Preview";
  return "";
}
