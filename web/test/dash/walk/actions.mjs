// What operators do: start a ramp, pause it, roll it back; drain and shed a PoP.

const declaration = `id: walk
service: www.edge.example
from: unicast
to: regional
geographies:
  - {id: brazil, countries: [BR]}
  - {id: states, countries: [US]}
steps: [1%, 50%, 100%]
`;

export async function actions(w) {
  await ramp(w);
  await drain(w);
  await shed(w);
}

/** Gives a reason and confirms. */
async function confirm(w, why, verb) {
  const { page } = w;
  const dialog = page.locator("dialog[open]");
  await dialog.waitFor();
  await w.accessible(`the dialog "${verb}"`);
  await dialog.locator("input[name=why]").fill(why);
  await dialog.locator("button[type=submit]").click();
  await dialog.waitFor({ state: "detached" });
}

async function ramp(w) {
  const { page } = w;
  await w.go("/ramps");
  await page.click("button:has-text('Start a ramp')");
  await page.waitForSelector("dialog[open]");
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.click("button:has-text('Start a ramp')");
  await page.fill("textarea[name=declaration]", "id: walk\n");
  await page.fill("dialog input[name=why]", "it lacks all but its name");
  w.expected = /status of 4\d\d/;
  await page.click("dialog button[type=submit]");
  await page.waitForSelector("dialog .error");
  w.expected = null;
  await page.fill("textarea[name=declaration]", declaration);
  await confirm(w, "walk: the pilot", "Start");
  await page.waitForURL("**/ramps/walk");
  await w.ready();
  for (const g of ["brazil", "states"]) await page.waitForSelector(`main tbody a:text-is("${g}")`);

  await page.click("button:has-text('Pause…')");
  await confirm(w, "walk: lunch", "Pause");
  await page.waitForSelector(".notice:has-text('Paused')");
  await page.click("button:has-text('Resume…')");
  await confirm(w, "walk: back from lunch", "Resume");
  await page.waitForSelector("button:has-text('Pause…')");
  await page.locator(".head button:has-text('Roll back…')").click();
  await confirm(w, "walk: enough", "Roll back");
  await page.waitForSelector("main .badge:has-text('rolled back')");
}

async function drain(w) {
  const { page } = w;
  await w.go("/pops");
  await page.click("button[aria-label='Drain syd']");
  await confirm(w, "walk: new disks", "Drain");
  await page.waitForSelector("h2:text-is('Drains and sheds under way')");
  await page.waitForSelector("main tr:has-text('syd') .badge:has-text('drain')");
  await page.click("button[aria-label='End drain syd']");
  await confirm(w, "walk: disks are in", "End the drain");
  await page.waitForSelector("button[aria-label='Drain syd']");
}

async function shed(w) {
  const { page } = w;
  await page.click("button[aria-label='Shed lax']");
  await page.fill("dialog input[name=share]", "20");
  await confirm(w, "walk: hot", "Shed");
  await page.waitForSelector("main tr:has-text('lax') .badge:has-text('sheds 20')");
  await page.click("button[aria-label='End shed lax']");
  await confirm(w, "walk: cool again", "End the shed");
  await page.waitForSelector("button[aria-label='Shed lax']");
}
