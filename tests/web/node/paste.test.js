import assert from "node:assert/strict";
import { test } from "node:test";

import { CHUNK_BYTES, cut, lengthOf, preparePaste } from "../../../emulator/service/page/paste.js";

test("pieces are at most 64 bytes, split no character and make the text", () => {
  const text = "a€😀ß".repeat(300);
  const pieces = cut(text);
  assert.equal(pieces.join(""), text);
  for (const piece of pieces) {
    const bytes = new TextEncoder().encode(piece);
    assert.ok(bytes.length <= CHUNK_BYTES);
    assert.equal(new TextDecoder("utf-8", { fatal: true }).decode(bytes), piece);
  }
});

test("a character larger than a piece goes by itself", () => assert.deepEqual(cut("😀a", 2), ["😀", "a"]));
test("nothing has no pieces", () => assert.deepEqual(cut(""), []));
test("length counts characters, not code units", () => assert.equal(lengthOf("😀€a"), 3));

test("line ends become carriage returns", () => {
  assert.equal(preparePaste("a\r\nb\nc\r", { bracketed: false }), "a\rb\rc\r");
});

test("control characters but tab go, so that no escape is pasted", () => {
  assert.equal(preparePaste("a\u001b[201~\u0003\u009bm\tb", { bracketed: true }), "\u001b[200~a[201~m\tb\u001b[201~");
});
