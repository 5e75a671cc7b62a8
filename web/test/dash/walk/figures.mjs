// What readers do: sort, filter, drill, send a link, switch the theme, use keys.

export async function figures(w) {
  await clicks(w);
  await compare(w);
  await keyboard(w);
  await theme(w);
}

/** How long each page takes from the click to its figures. */
async function clicks(w) {
  const { page } = w;
  const took = [];
  const links = await page.$$eval("nav.main a", (all) => all.map((a) => a.getAttribute("href")));
  w.expect("the menu has all pages", links.length >= 11);
  for (const href of links) {
    const begin = Date.now();
    await page.click(`nav.main a[href="${href}"]`);
    await w.ready();
    took.push([href, Date.now() - begin]);
    w.equal("the address follows the click", new URL(page.url()).pathname, href);
    w.equal("one link is current", await page.$$eval("nav.main a[aria-current=page]", (all) => all.map((a) => a.getAttribute("href"))), [href]);
  }
  console.log("figures: ms from click to figures: " + took.map(([href, ms]) => `${href} ${ms}`).join(", "));
}

const column = (page, i) => page.$$eval(`main table tbody tr`, (rows, i) => rows.map((r) => r.children[i].textContent.trim()), i);

async function compare(w) {
  const { page } = w;
  await w.go("/compare?by=country");
  const names = await column(page, 0);
  w.expect("countries are listed", names.length > 20);

  await page.click("thead button:has-text('Country')");
  w.equal("sorted by name", await page.getAttribute("thead th:first-child", "aria-sort"), "ascending");
  const sorted = await column(page, 0);
  w.equal("names are in order", sorted.slice(0, 5), [...sorted].sort((a, b) => a.localeCompare(b)).slice(0, 5));
  w.expect("the order is in the address", page.url().includes("sort=name"));
  await page.click("thead button:has-text('Global anycast')");
  const shares = (await column(page, 3)).map(parseFloat).filter((x) => !Number.isNaN(x));
  w.equal("shares are in order", shares.slice(0, 10), [...shares].sort((a, b) => b - a).slice(0, 10));
  await page.reload();
  await w.ready();
  w.equal("the link has the order", (await column(page, 3)).map(parseFloat).filter((x) => !Number.isNaN(x)).slice(0, 10), shares.slice(0, 10));

  await page.fill("input[type=search]", "brazil");
  await page.waitForFunction(() => document.querySelectorAll("main tbody tr").length == 1);
  w.equal("the filter leaves Brazil", await column(page, 0), ["Brazil"]);

  await w.go("/compare?by=continent");
  for (const [name, by] of [["South America", "country"], ["Brazil", "subdivision"]]) {
    await page.click(`main tbody a:text-is("${name}")`);
    await page.waitForFunction((by) => new URLSearchParams(location.search).get("by") == by, by);
    await w.ready();
  }
  await page.click("main tbody th a");
  await page.waitForFunction(() => new URLSearchParams(location.search).get("by") == "asn");
  await w.ready();
  const networks = await column(page, 0);
  w.expect(`networks of a state of Brazil are listed: ${networks[0]}`, /^AS\d+/.test(networks[0] ?? ""));
  w.expect("the way back is there", (await page.textContent("nav.crumbs")).includes("South America"));
  await page.goBack();
  await w.ready();
  w.equal("back is a level up", new URL(page.url()).searchParams.get("by"), "subdivision");

  const [download] = await Promise.all([page.waitForEvent("download"), page.click("a:text-is('CSV')")]);
  const chunks = [];
  for await (const c of await download.createReadStream()) chunks.push(c);
  const lines = Buffer.concat(chunks).toString().trim().split("\n");
  w.expect(`CSV has a header and lines: ${lines[0]}`, lines.length > 1 && lines[0].includes(","));
}

/** The way past the menu, and a sort, by keys alone. */
async function keyboard(w) {
  const { page } = w;
  await w.open("/offenders");
  await page.keyboard.press("Tab");
  w.equal("the first stop is the way past the menu", await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  w.equal("it leads to the page", await page.evaluate(() => document.activeElement.id), "main");
  await page.focus("thead button");
  await page.keyboard.press("Enter");
  w.equal("Enter sorts", await page.getAttribute("thead th:first-child", "aria-sort"), "ascending");
  const text = page.locator("main tbody button").first();
  await text.focus();
  await page.keyboard.press("Enter");
  const letter = await page.locator("textarea").inputValue();
  w.expect(`the text has the facts: ${letter.slice(0, 80)}`, /AS\s?\d+/.test(letter) && /ms/.test(letter));
}

async function theme(w) {
  const { page } = w;
  const now = () => page.evaluate(() => document.documentElement.dataset.theme);
  const button = page.locator("button[aria-label^='Colors']");
  w.equal("as the system", await now(), "light");
  await button.click();
  await button.click();
  w.equal("dark once chosen", await now(), "dark");
  await page.reload();
  await w.ready();
  w.equal("dark after a reload", await now(), "dark");
  await button.click();
  w.equal("as the system again", await now(), "light");
}
