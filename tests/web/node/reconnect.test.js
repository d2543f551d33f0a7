import assert from "node:assert/strict";
import { test } from "node:test";

import { afterClose, afterRefusal, delayOf } from "../../../emulator/service/page/reconnect.js";
import { findRemedy } from "../../../emulator/service/page/remedies.js";

test("delays double up to 30 s", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 5, 99].map(delayOf), [1000, 2000, 4000, 8000, 16000, 30000, 30000]);
});

const CLOSED = "The serial console connection was closed";
for (const [code, reason, kind] of [
  [1006, "", "retry"],
  [1011, "dropped by fault injection", "retry"],
  [1011, "Connection not trusted", "retry"],
  [1000, `${CLOSED}: another user connected to the console of this virtual machine.`, "offer"],
  [1008, `${CLOSED}: the access token has expired.`, "sign-in"],
  [1008, `${CLOSED}: You do not have the required permissions`, "offer"],
  [1008, `${CLOSED}: its user is no longer known.`, "offer"],
  [1001, `${CLOSED}: the virtual machine was deleted.`, "offer"],
  [1000, `${CLOSED}: nothing was typed for 60 s.`, "offer"],
]) {
  test(`after ${code} ${reason} comes ${kind}`, () => assert.equal(afterClose({ code, reason, attempt: 0 }).kind, kind));
}

test("a close without a reason has one in words", () => {
  assert.match(afterClose({ code: 1006, reason: "", attempt: 0 }).reason, /was closed/);
});

test("a reason that was cut shows that it was", () => {
  assert.equal(afterClose({ code: 1008, reason: "no rol", attempt: 0 }).reason, "no rol …");
});

for (const [status, message, kind] of [
  [0, "The service did not answer.", "retry"],
  [503, "Busy", "retry"],
  [409, "Another connection is currently in progress to this VM.", "retry"],
  [409, "Azure Serial Console requires a virtual machine to be running.", "offer"],
  [403, "You do not have the required permissions", "offer"],
  [404, "was not found", "offer"],
  [401, "expired", "sign-in"],
]) {
  test(`after ${status} ${message} comes ${kind}`, () => {
    assert.equal(afterRefusal({ status, message, attempt: 1 }).kind, kind);
  });
}

test("documented reasons have their remedies, others none", () => {
  assert.equal(findRemedy("Azure Serial Console requires boot diagnostics to be enabled. Click here")?.act, "diagnostics");
  assert.equal(findRemedy("Azure Serial Console is not enabled for this subscription, contact")?.act, "enable");
  assert.equal(findRemedy("Serial port 0 of this VM is disabled; enable it first.")?.act, "port");
  assert.equal(findRemedy("Something else"), null);
});
