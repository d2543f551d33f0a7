import assert from "node:assert/strict";
import { test } from "node:test";

import { adminUrl, judge } from "../../../emulator/service/page/admin_commands.js";
import { areSysRqKeys, destroys } from "../../../emulator/service/page/keys.js";
import { plainText } from "../../../emulator/service/page/plain_text.js";
import { describeMachine, nameOf, osOf, powerOf, scaleSetOf } from "../../../emulator/service/page/resources.js";
import { formatRoute, parseRoute } from "../../../emulator/service/page/routes.js";

const GROUP = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute";
const VM = `${GROUP}/virtualMachines/serial`;
const SET = `${GROUP}/virtualMachineScaleSets/ss1`;
const INSTANCE = `${SET}/virtualMachines/0`;

for (const [hash, route] of [
  ["", { kind: "list", id: "", page: "" }],
  [`#/vm${VM}`, { kind: "vm", id: VM, page: "overview" }],
  [`#/vm${VM}/serial`, { kind: "vm", id: VM, page: "serial" }],
  [`#/vm${INSTANCE}/boot`, { kind: "vm", id: INSTANCE, page: "boot" }],
  [`#/set${SET}`, { kind: "set", id: SET, page: "" }],
  [`#/vm${VM}/other`, { kind: "list", id: "", page: "" }],
  [`#/vm/../../evil`, { kind: "list", id: "", page: "" }],
  [`#/vm${SET}`, { kind: "list", id: "", page: "" }],
  ["#/vm/%E0%A4%A", { kind: "list", id: "", page: "" }],
]) {
  test(`address ${hash || "(none)"}`, () => assert.deepEqual({ ...parseRoute(hash) }, route));
}

test("an address that is written is read again", () => {
  for (const route of [{ kind: "vm", id: VM, page: "password" }, { kind: "set", id: SET, page: "" }]) {
    assert.deepEqual(parseRoute(formatRoute(route)), route);
  }
  assert.equal(formatRoute({}), "#/");
});

test("names, sets and powers are read", () => {
  assert.equal(nameOf(INSTANCE), "ss1 / 0");
  assert.equal(nameOf(SET), "ss1");
  assert.equal(scaleSetOf(INSTANCE), SET);
  assert.equal(scaleSetOf(VM), "");
  assert.equal(powerOf({ statuses: [{ code: "ProvisioningState/succeeded" }, { code: "PowerState/running" }] }), "running");
  assert.equal(powerOf(null), "unknown");
});

test("Windows is what says so", () => {
  assert.equal(osOf({}, { osName: "Windows Server 2022" }), "Windows");
  assert.equal(osOf({ properties: { storageProfile: { imageReference: { offer: "WindowsServer" } } } }, null), "Windows");
  assert.equal(osOf({ properties: {} }, {}), "Linux");
});

test("a machine without boot diagnostics is described as such", () => {
  const machine = describeMachine({ id: VM, properties: {} }, null);
  assert.equal(machine.diagnostics, false);
  assert.deepEqual(machine.facts.at(-1), ["Boot diagnostics", "off"]);
});

test("the admin URL changes scheme and end alone", () => {
  const url = adminUrl("wss://news.example:1/n/connector/c/sessions/s/client", "nmi");
  assert.equal(url, "https://news.example:1/n/connector/c/sessions/s/adminCommand/nmi");
});

test("only an effect that was seen is called done", () => {
  assert.equal(judge("NMI", { effect: "seen", evidence: "x" }).tone, "good");
  assert.equal(judge("NMI", { effect: "no effect seen" }).tone, "doubt");
  assert.equal(judge("NMI", {}).tone, "doubt");
  assert.equal(judge("SysRq m", { effect: "refused" }).tone, "bad");
});

test("SysRq keys are letters and digits, and dangerous ones are known", () => {
  assert.ok(areSysRqKeys("REISUB"));
  for (const keys of ["", "a b", "é", "b;", "x".repeat(17)]) assert.ok(!areSysRqKeys(keys));
  assert.ok(destroys("B") && destroys("sub") && !destroys("hst"));
});

test("a log is shown without escapes", () => {
  assert.equal(plainText("\u001b]0;t\u0007a\u001b[1;31mb\u001b[0m\u001b(B\r\nc\u001b]52;c;eA==\u001b\\d\u0000"), "ab\ncd");
});
