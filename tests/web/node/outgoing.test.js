import assert from "node:assert/strict";
import { test } from "node:test";

import { GAP_MS, Outgoing } from "../../../emulator/service/page/outgoing.js";

/** Time stands until `pass`. */
function setUp() {
  const sent = [];
  const timers = [];
  const outgoing = new Outgoing((text) => sent.push(text), (run, ms) => timers.push([run, ms]));
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { sent, timers, outgoing, settle, pass: async () => (timers.shift()[0](), await settle()) };
}

test("what is typed leaves at once", () => {
  const { sent, outgoing } = setUp();
  outgoing.type("a");
  assert.deepEqual(sent, ["a"]);
});

test("pieces of a paste wait for the gap, and typing waits for the paste", async () => {
  const { sent, timers, outgoing, settle, pass } = setUp();
  void outgoing.paste("x".repeat(100));
  outgoing.type("q");
  await settle();
  assert.deepEqual(sent, ["x".repeat(64)]);
  assert.equal(timers[0][1], GAP_MS);
  await pass();
  assert.deepEqual(sent, ["x".repeat(64), "x".repeat(36)]);
  await pass();
  assert.deepEqual(sent.at(-1), "q");
});

test("an echo lets the next piece go", async () => {
  const { sent, outgoing, settle } = setUp();
  void outgoing.paste("x".repeat(65));
  outgoing.heard();
  await settle();
  assert.deepEqual(sent, ["x".repeat(64), "x"]);
});

test("what is cleared never leaves", async () => {
  const { sent, outgoing, settle } = setUp();
  void outgoing.paste("x".repeat(200));
  outgoing.clear();
  await settle();
  outgoing.type("y");
  await settle();
  assert.deepEqual(sent, ["x".repeat(64), "y"]);
});
