// What operators ask: why an address gets its answer, what an edit would do, how
// a ramp went.

export async function questions(w) {
  await explain(w);
  await whatIf(w);
  await chart(w);
}

async function explain(w) {
  const { page } = w;
  await w.open("/explain");
  await page.click("main .notice a"); // the example
  await page.waitForSelector("main ol.doc li");
  const text = await page.textContent("main");
  w.expect("the place is told", text.includes("Brazil"));
  w.expect("the PoPs are listed", (await page.locator("main tbody tr").count()) >= 18);
  await page.fill("input[name=client]", "not an address");
  w.expected = /status of 400/;
  await page.click("main form button.primary");
  await page.waitForSelector(".notice.bad:has-text('not an address')");
  w.expected = null;
}

async function whatIf(w) {
  const { page } = w;
  await w.open("/whatif");
  await page.selectOption("main form select >> nth=1", "gru");
  await page.click("main form button.primary");
  await page.waitForSelector("h2:text-is('PoPs before and after')");
  w.equal("the edit is in the address", new URL(page.url()).searchParams.getAll("edit"), ["withdraw gru"]);
  w.expect("users move, with their times", /gru → \w+\s*[\d.]+[MK]?\s*[\d.]+ms → [\d.]+ms/.test((await page.locator("main tbody tr").first().textContent()).replace(/\u00a0/g, "")));
  await page.locator("label:has-text('VIP') select").selectOption("americas");
  await page.waitForFunction(() => new URLSearchParams(location.search).get("vip") == "americas");
  await w.ready();
  await page.click("button[aria-label='Remove withdraw gru']");
  await page.waitForSelector(".notice:has-text('Add an edit')");
}

async function chart(w) {
  const { page } = w;
  await w.open("/ramps");
  await page.locator("main a:text-is('rehearsal')").waitFor({ timeout: 90_000 }); // it is being run in the background
  await page.click("main a:text-is('rehearsal')");
  await page.waitForSelector("main .uplot canvas");
  await w.ready();
  w.expect("a geography went back", (await page.locator("main .badge:has-text('rolled back')").count()) > 0);
  w.expect("a geography is through", (await page.locator("main .badge:has-text('done')").count()) > 0);
  await page.selectOption("main select >> nth=0", "ca");
  await page.waitForFunction(() => new URLSearchParams(location.search).get("geography") == "ca");
  await w.ready();
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("a:text-is('CSV')")]);
  const chunks = [];
  for await (const c of await download.createReadStream()) chunks.push(c);
  w.expect("the chart's CSV has its geographies", /,ca,|^ca,/m.test(Buffer.concat(chunks).toString()));
}
