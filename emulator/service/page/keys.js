// Keys that browsers keep for themselves, system requests, and their uses. Pure.

/** @typedef {{label: string, bytes: string, note: string}} Key */

/** @type {ReadonlyArray<Key>} */
export const BROWSER_KEYS = Object.freeze([
  { label: "Ctrl+W", bytes: "\u0017", note: "delete a word" },
  { label: "Ctrl+T", bytes: "\u0014", note: "swap characters, status" },
  { label: "Ctrl+N", bytes: "\u000e", note: "next line" },
  { label: "Ctrl+C", bytes: "\u0003", note: "interrupt" },
  { label: "Ctrl+X", bytes: "\u0018", note: "boot from GRUB's editor" },
  { label: "Ctrl+]", bytes: "\u001d", note: "leave telnet and friends" },
  { label: "Esc", bytes: "\u001b", note: "GRUB's menu" },
  { label: "Tab", bytes: "\t", note: "complete" },
  { label: "F8", bytes: "\u001b[19~", note: "Windows' boot menu" },
  { label: "F10", bytes: "\u001b[21~", note: "boot from GRUB's editor" },
  { label: "F11", bytes: "\u001b[23~", note: "the browser's full screen" },
  { label: "F12", bytes: "\u001b[24~", note: "the browser's tools" },
  { label: "Esc, Tab", bytes: "\u001b\t", note: "next channel of Windows' SAC" },
]);

/** @type {ReadonlyArray<Key>} */
export const SAC_KEYS = Object.freeze([
  { label: "cmd", bytes: "cmd\r", note: "make a command prompt channel" },
  { label: "ch -si 1", bytes: "ch -si 1\r", note: "go to channel 1" },
  { label: "Esc, Tab", bytes: "\u001b\t", note: "next channel" },
]);

/** @typedef {{key: string, label: string, destroys: boolean}} SystemRequest */

/** @type {ReadonlyArray<SystemRequest>} Linux, Documentation/admin-guide/sysrq.rst */
export const SYSTEM_REQUESTS = Object.freeze(
  [
    ["h", "Help: list what the kernel knows"],
    ["s", "Sync all file systems"],
    ["u", "Remount all file systems read-only"],
    ["b", "Reboot at once, without sync", true],
    ["o", "Power off", true],
    ["c", "Crash (kdump, if it is set up)", true],
    ["e", "Terminate all processes but init (SIGTERM)", true],
    ["i", "Kill all processes but init (SIGKILL)", true],
    ["f", "Kill one process that uses most memory (OOM)", true],
    ["k", "Secure access key: kill all on this console", true],
    ["j", "Thaw frozen file systems"],
    ["l", "Backtrace of all active CPUs"],
    ["m", "Memory"],
    ["n", "Make real-time tasks nice"],
    ["p", "Registers and flags"],
    ["q", "Timers and clock devices"],
    ["r", "Take the keyboard out of raw mode"],
    ["t", "All tasks"],
    ["w", "Blocked tasks"],
    ["z", "Dump the ftrace buffer"],
    ["0", "Log level 0: only emergencies"],
    ["4", "Log level 4: errors and worse"],
    ["8", "Log level 8: all messages"],
  ].map(([key, label, destroys]) => Object.freeze({ key: String(key), label: String(label), destroys: destroys === true })),
);

/** @type {ReadonlyArray<SystemRequest>} */
export const SEQUENCES = Object.freeze([
  { key: "reisub", label: "End everything, sync, reboot", destroys: true },
  { key: "reisuo", label: "End everything, sync, power off", destroys: true },
  { key: "sub", label: "Sync, remount read-only, reboot", destroys: true },
]);

const DESTROYERS = new Set(SYSTEM_REQUESTS.filter((one) => one.destroys).map((one) => one.key));

/** @param {string} keys @returns {boolean} whether they can be sent (docs/facts/azure.md 3: `[0-9A-Za-z]+`; our gateway takes 16) */
export function areSysRqKeys(keys) {
  return /^[0-9A-Za-z]{1,16}$/.test(keys);
}

/** @param {string} keys @returns {boolean} whether one of them makes the guest lose something */
export function destroys(keys) {
  return [...keys.toLowerCase()].some((key) => DESTROYERS.has(key));
}
