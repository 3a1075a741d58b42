// What happens on the page while it is open, at the keyboard, and on the way to it.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";

import { assertNumbers, shown } from "./numbers.mjs";
import {
  House, assertAccessible, assertClean, assertLooks, browser, eventually, live, visit,
} from "./support.mjs";

let chrome, house;
before(async () => {
  chrome = await browser();
  house = await House.start("live");
});
after(async () => {
  await house.end();
  await chrome.close();
});

const SUN = "#now .node.sun .value";

/** Marks the document, to see that it is not loaded again. */
const mark = (page) => page.evaluate(() => (window.isSame = true));
const assertSame = async (page) => assert(await page.evaluate(() => window.isSame), "the page was loaded again");

/** Waits until the page shows another production. */
const changed = async (page) => {
  const before = await page.textContent(SUN);
  await page.waitForFunction(([selector, before]) => document.querySelector(selector)?.textContent !== before, [SUN, before]);
};

test("new values arrive without a reload", async () => {
  const page = await visit(chrome, house.url);
  await live(page);
  await mark(page);
  await changed(page);
  await changed(page);
  await eventually(async () => assertNumbers(await shown(page), await house.readings()));
  await assertSame(page);
  assert.equal(page.seen.loads, 1);
  assertClean(page);
  await page.context().close();
});

test("the page says that the daemon is gone, and continues when it is back", async () => {
  const page = await visit(chrome, house.url);
  await live(page);
  await mark(page);
  await house.kill();
  await page.waitForSelector("#connection[data-state=lost]");
  assert.match(await page.textContent("#connection"), /Not connected since \d\d:\d\d/);
  await assertAccessible(page);
  await house.run();
  await live(page);
  await changed(page);
  await eventually(async () => assertNumbers(await shown(page), await house.readings()));
  await assertSame(page);
  await page.context().close();
});

/** Describes the element that has the focus; `undefined` for the page itself. */
const focus = (page) =>
  page.evaluate(() => {
    const node = document.activeElement;
    if (!node || node === document.body) return undefined;
    const style = getComputedStyle(node);
    const box = node.getBoundingClientRect();
    return {
      place: node.closest("section")?.id ?? node.closest("header, footer")?.tagName.toLowerCase() ?? "body",
      kind: node.matches(".box") ? "curve" : node.matches("nav.steps *") ? "step" : node.matches(".tiles, .tiles *") ? "tile" : node.tagName.toLowerCase(),
      name: (node.getAttribute("aria-label") ?? node.textContent).replace(/\s+/g, " ").trim().slice(0, 80),
      isVisible: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0 &&
        ((style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== "none"),
    };
  });

test("the keyboard reaches the steps, the values of the curve and the tiles, and the focus is visible", async () => {
  const page = await visit(chrome, house.url);
  await live(page);
  const stops = [];
  for (;;) {
    await page.keyboard.press("Tab");
    const stop = await focus(page);
    if (!stop || stops.length > 300) break;
    stops.push(stop);
  }
  const kinds = new Set(stops.map(({ kind }) => kind));
  for (const kind of ["step", "curve", "tile"]) assert(kinds.has(kind), `${kind} among ${JSON.stringify(stops)}`);
  for (const stop of stops) assert(stop.isVisible, `the focus on ${JSON.stringify(stop)} is visible`);
  for (const stop of stops) assert(stop.name, `${JSON.stringify(stop)} has a name`);
  await page.context().close();
});

test("the arrow keys step through the tiles, and the focus survives a live update", async () => {
  const page = await visit(chrome, house.url);
  await live(page);
  await page.focus("#inverters .tiles li >> nth=0");
  for (const key of ["ArrowRight", "ArrowRight", "End", "ArrowLeft"]) await page.keyboard.press(key);
  const tile = () => page.evaluate(() => [...document.querySelectorAll("#inverters .tiles li")].indexOf(document.activeElement));
  assert.equal(await tile(), 48);
  await changed(page);
  assert.equal(await tile(), 48);
  assert((await focus(page)).isVisible);
  await page.context().close();
});

test("the arrow keys step through the curve, and a live update leaves focus and value alone", async () => {
  const page = await visit(chrome, house.url);
  await live(page);
  await page.focus("#history .box");
  for (const key of ["Home", "ArrowRight", "ArrowRight", "PageUp", "ArrowLeft"]) await page.keyboard.press(key);
  const value = () => page.evaluate(() => {
    const box = document.activeElement;
    const row = document.querySelectorAll("#history tbody tr")[box.dataset.at];
    const cells = [...row.cells].map((cell) => cell.textContent.trim());
    return { now: box.getAttribute("aria-valuenow"), text: box.getAttribute("aria-valuetext"),
      readout: document.querySelector("#history .readout").textContent, cells };
  });
  const first = await value();
  assert.equal(first.now, "9");
  assert.equal(first.readout, first.text);
  for (const cell of first.cells) assert(first.readout.includes(cell), `${first.readout} has ${cell}`);
  await changed(page);
  await changed(page);
  assert.deepEqual(await value(), first);
  // At each connection the history is asked for again as well.
  await house.kill();
  await page.waitForSelector("#connection[data-state=lost]");
  const asked = page.waitForResponse((response) => response.url().includes("page/history") && response.ok());
  await house.run();
  await (await asked).finished();
  await changed(page);
  assert.deepEqual(await value(), first);
  assert((await focus(page)).isVisible);
  await page.context().close();
});

test("steps through days, months and years need no reload, and the browser's back works", async () => {
  const page = await visit(chrome, house.url);
  await live(page);
  await mark(page);
  const title = () => page.textContent("#history-time");
  const go = async (name, query) => {
    await page.click(`#history nav.steps a:text-is("${name}"), #history nav.steps a[aria-label="${name}"]`);
    await page.waitForURL((url) => query.test(url.search));
  };
  const today = await title();
  await go("Earlier", /^\?day=2026-06-27$/);
  await eventually(async () => assert.match(await title(), /27 June 2026/));
  await go("Month", /^\?month=2026-06$/);
  await eventually(async () => assert.match(await title(), /June 2026/));
  await go("Earlier", /^\?month=2026-05$/);
  await eventually(async () => assert.match(await title(), /May 2026/));
  assert.equal(await page.locator("#history tbody tr").count(), 31);
  await go("Year", /^\?year=2026$/);
  await eventually(async () => assert.match(await title(), /2026/));
  await assertAccessible(page);
  await go("Earlier", /^\?year=2025$/);
  await eventually(async () => assert.match(await title(), /2025/));
  await assertSame(page);
  for (let n = 0; n < 5; n++) await page.goBack();
  await eventually(async () => assert.equal(await title(), today));
  assertClean(page);
  await page.context().close();
});

test("without the script, the links of the history work", async () => {
  const page = await visit(chrome, house.url, { javaScriptEnabled: false });
  await page.click('#history a[aria-label="Earlier"]');
  await page.waitForURL(/\?day=2026-06-27$/);
  assert.match(await page.textContent("#history-time"), /27 June 2026/);
  await page.click('#history a:text-is("Month")');
  await page.waitForURL(/\?month=2026-06$/);
  assert(await page.locator("#history tbody tr").count() >= 27);
  await page.click('#history a:text-is("Year")');
  await page.waitForURL(/\?year=2026$/);
  assertClean(page);
  await page.context().close();
});

test("other views fit and are accessible too", async (t) => {
  for (const path of ["?month=2026-05", "?year=2026", "?day=2019-01-01"]) {
    const page = await visit(chrome, house.url, { path });
    await live(page);
    await assertLooks(t, page);
    assertClean(page);
    await page.context().close();
  }
});

test("the page works below a path of somebody else, as in Home Assistant", async () => {
  const path = "/api/ingress/abc/";
  const target = new URL(house.url);
  const proxy = http.createServer((request, response) => {
    if (!request.url.startsWith(path)) return response.writeHead(404).end();
    const headers = { ...request.headers, host: target.host };
    const onward = http.request(
      { host: target.hostname, port: target.port, path: request.url.slice(path.length - 1), method: request.method, headers },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  const page = await visit(chrome, `http://127.0.0.1:${proxy.address().port}${path}`);
  await live(page);
  await mark(page);
  await changed(page);
  await page.click('#history a[aria-label="Earlier"]');
  await page.waitForURL(/\/api\/ingress\/abc\/\?day=2026-06-27$/);
  await assertSame(page);
  for (const link of await page.locator("a[href]").all()) {
    assert(new URL(await link.evaluate((node) => node.href)).pathname.startsWith(path), await link.getAttribute("href"));
  }
  assertClean(page);
  await page.context().close();
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
});

test("a browser without a token is told how to get one, and the token opens the page", async (t) => {
  const closed = await House.start("no-access");
  t.after(() => closed.end());
  const page = await visit(chrome, closed.url);
  assert.equal(page.first.status(), 401);
  assert.match(await page.innerText("body"), /enphased consumer add/);
  assert.doesNotMatch(await page.content(), /\d k?Wh?\b/);
  await assertLooks(t, page);
  // The browser itself reports the status.
  page.seen.faults = page.seen.faults.filter((fault) => !fault.includes("401"));
  assertClean(page);
  await page.goto(`${closed.url}?token=${closed.token}`);
  assert.equal(page.url(), closed.url, "the token is not in the address any more");
  await live(page);
  await eventually(async () => assertNumbers(await shown(page), await closed.readings()));
  await page.context().close();
});


