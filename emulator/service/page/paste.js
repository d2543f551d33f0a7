// What may be pasted, and in which pieces it is sent. Pure.

export const PASTE_MAX = 2048; // characters, as the portal's console has it (docs/facts/azure.md 8)
export const CHUNK_BYTES = 64;

const ENCODER = new TextEncoder();
// A terminal's paste is text: of control characters only tab and line ends remain, so that a copied
// ESC can't end a bracketed paste and type commands after it.
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;

/** @param {string} text @returns {number} its characters (code points) */
export function lengthOf(text) {
  return [...text].length;
}

/**
 * Return the text to send for a paste: carriage returns for line ends, and brackets where the guest asked for them.
 * @param {string} text
 * @param {{bracketed: boolean}} mode
 * @returns {string}
 */
export function preparePaste(text, { bracketed }) {
  const plain = text.replace(/\r\n|\n/g, "\r").replace(CONTROL, "");
  return bracketed ? `\u001b[200~${plain}\u001b[201~` : plain;
}

/**
 * Cut text into pieces of at most `most` UTF-8 bytes, never inside a character.
 * @param {string} text
 * @param {number} most
 * @returns {string[]}
 */
export function cut(text, most = CHUNK_BYTES) {
  const pieces = [];
  let piece = "";
  let bytes = 0;
  for (const character of text) {
    const size = ENCODER.encode(character).length;
    if (bytes + size > most && piece) {
      pieces.push(piece);
      piece = "";
      bytes = 0;
    }
    piece += character;
    bytes += size;
  }
  if (piece) pieces.push(piece);
  return pieces;
}
