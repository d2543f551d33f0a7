// A guest's output as text to read: no colours, no cursor movements. Pure.

// ECMA-48: CSI, strings (OSC, DCS, APC, PM, SOS) up to their end, then any other escape.
const ESCAPES = /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[ -/]*[0-~]?/g;
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** @param {string} output @returns {string} */
export function plainText(output) {
  return output.replace(ESCAPES, "").replace(/\r\n?/g, "\n").replace(/\n\n\n+/g, "\n\n").replace(CONTROL, "");
}
