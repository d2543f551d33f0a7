// What the toolbar does to the machine: each command asks before it destroys anything, and reports its effect.

import { sendAdmin } from "./admin_commands.js";
import { chooseSysRq, confirmed } from "./dialogs.js";
import { destroys } from "./keys.js";

/** @typedef {import("./view_console.js").Console} Console */

/** @param {Console} console */
export async function sendNmi(console) {
  const text = "A non-maskable interrupt makes many guests crash and dump their memory: that is what it is for.";
  if (!(await confirmed({ title: `Send an NMI to ${console.name}?`, text, yes: "Send NMI" }))) return;
  await admin(console, "nmi");
}

/** @param {Console} console */
export async function resetMachine(console) {
  const text =
    "The power is cycled at once, without a shutdown: what the guest has not written is lost." +
    " The console stays connected, so GRUB can be reached.";
  if (!(await confirmed({ title: `Reset ${console.name}?`, text, yes: "Reset VM" }))) return;
  await admin(console, "reset");
}

/** @param {Console} console */
export async function sendSysRq(console) {
  const keys = await chooseSysRq();
  if (!keys) return;
  const text = `The guest may lose data or stop. Keys: ${keys}`;
  if (destroys(keys) && !(await confirmed({ title: `Send SysRq ${keys} to ${console.name}?`, text, yes: "Send" }))) return;
  await admin(console, "sysrq", keys);
}

/** @param {Console} console */
export async function restartMachine(console) {
  const text = "The guest is asked to shut down, then it boots again. The console stays.";
  if (await confirmed({ title: `Restart ${console.name}?`, text, yes: "Restart VM" })) await power(console, "Restart VM", "restart");
}

/** @param {Console} console */
export async function stopMachine(console) {
  const text = "The guest is asked to shut down and stays off until it is started.";
  if (await confirmed({ title: `Stop ${console.name}?`, text, yes: "Stop VM" })) await power(console, "Stop VM", "powerOff");
}

/** @param {Console} console */
export async function startMachine(console) {
  await power(console, "Start VM", "start");
  if (!console.link.isOpen) console.reconnect();
}

/** @param {Console} console @param {string} label @param {string} action */
async function power(console, label, action) {
  await console.report(label, async () => {
    await console.app.arm.power(console.view.machine.id, action);
    const { power: now } = await console.view.refresh();
    return { tone: "good", text: `${label}: done; the VM is ${now}.`, evidence: "" };
  });
}

/** @param {Console} console @param {"nmi" | "reset" | "sysrq"} command @param {string} [keys] */
async function admin(console, command, keys = "") {
  const { connectionString } = console.link;
  const label = { nmi: "NMI", reset: "Reset VM", sysrq: `SysRq ${keys}` }[command];
  await console.report(label, () => {
    if (!connectionString) throw new Error("the console is not connected.");
    return sendAdmin({ connectionString, token: () => console.app.identity.token() }, command, keys);
  });
  console.focus();
}
