// Walks the dashboard of a running `catchment demo` in headless Chromium, as
// people use it, and ends with status 1 if anything is wrong. Called by
// lab/dash:
//
//   node main.mjs BASE [SCREENSHOTS]
//
// BASE is the dashboard's address; CATCHMENT_LOGIN is the link that logs in,
// CATCHMENT_TOKEN a token that does. With a directory for screenshots they are written into it.

import { visit, walker } from "./walker.mjs";
import { actions } from "./actions.mjs";
import { questions } from "./questions.mjs";
import { figures } from "./figures.mjs";
import { troubles } from "./troubles.mjs";

const [base, shots] = process.argv.slice(2);
const w = await walker(base, shots);
try {
  await w.login();
  await w.settled();
  await figures(w); // sorts, filters, drills; what pages say of themselves
  await actions(w); // starts a ramp and rolls it back; drains, sheds
  await questions(w); // an address, an edit, a ramp that is over
  await visit(w); // every page, both themes, both widths
  await troubles(w); // what pages say when something is wrong
} catch (e) {
  w.problem(e.stack);
}
const problems = await w.end();
for (const p of problems) console.error(p);
process.exit(problems.length ? 1 : 0);
