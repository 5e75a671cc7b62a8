import assert from "node:assert/strict";
import { it } from "node:test";
import { load } from "./bundle.mjs";

const e = await load("lib/edit.ts");
const kind = (k) => e.editKinds.find((x) => x.kind == k);

it("edits are in the simulator's words", () => {
  for (const [k, values, want] of [
    ["withdraw", { pop: "gru" }, "withdraw gru"],
    ["withdraw", { pop: "gru", asn: "AS64500" }, "withdraw gru:64500"],
    ["withdraw", { asn: "64500" }, null],
    ["prepend", { pop: "gru", times: "3" }, "prepend gru:3"],
    ["prepend", { pop: "gru", asn: " 64500 ", times: "3" }, "prepend gru:64500:3"],
    ["prepend", { pop: "gru" }, null],
    ["add-session", { pop: "gru", asn: "64500", relation: "peer" }, "add-session gru:64500:peer"],
    ["add-pop", { id: "bog", at: "4.71,-74.07" }, "add-pop bog:4.71,-74.07"],
  ])
    assert.equal(e.editText(kind(k), values), want, `${k} ${JSON.stringify(values)}`);
});

it("an address has edits, and what is none is left out", () => {
  assert.deepEqual(e.editsOf(new URLSearchParams("edit=withdraw+gru&vip=global&edit=prepend+lax:2&edit=&edit=rm+-rf+x")), ["withdraw gru", "prepend lax:2"]);
});
