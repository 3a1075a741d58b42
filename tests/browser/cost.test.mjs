// How much the page loads, and how fast it is drawn, with a year of history and 50 inverters.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { House, browser, live, visit } from "./support.mjs";

/** The maximum size of everything that is loaded until the page is live. */
const MOST_BYTES = 80_000;

let chrome, house;
before(async () => {
  chrome = await browser();
  house = await House.start("day");
});
after(async () => {
  await house.end();
  await chrome.close();
});

test("everything that is loaded until the page is live is small", async (t) => {
  const page = await visit(chrome, "about:blank");
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const sizes = new Map();
  const loaded = new Map();
  session.on("Network.requestWillBeSent", ({ requestId, request }) => sizes.set(requestId, [request.url, 0]));
  session.on("Network.dataReceived", ({ requestId, dataLength }) => (sizes.get(requestId)[1] += dataLength));
  session.on("Network.loadingFinished", ({ requestId }) => loaded.set(requestId, true));
  await page.goto(house.url);
  await live(page);
  // The stream has no end; the other requests have one.
  await page.waitForFunction(() => performance.getEntriesByName(new URL("page/history", location)).length > 0 ||
    performance.getEntriesByType("resource").some(({ name }) => name.includes("page/history")));
  let sum = 0;
  for (const [url, size] of [...sizes.values()].filter(([url]) => !url.startsWith("data:"))) {
    t.diagnostic(`${size} bytes of ${url.replace(house.url, "/")}`);
    sum += size;
  }
  t.diagnostic(`${sum} bytes in all`);
  assert(sum > 10_000, "the sizes were seen");
  assert(sum <= MOST_BYTES, `${sum} bytes are more than ${MOST_BYTES}`);
  await page.context().close();
});

test("the time from the request until the page is drawn (printed)", async (t) => {
  const times = [];
  for (let n = 0; n < 20; n++) {
    const page = await visit(chrome, house.url);
    times.push(await page.evaluate(async () => {
      const newest = (type) => new Promise((resolve) =>
        new PerformanceObserver((list) => resolve(list.getEntries().at(-1).startTime)).observe({ type, buffered: true }));
      const [navigation] = performance.getEntriesByType("navigation");
      const { requestStart, responseEnd } = navigation;
      const first = await newest("paint"), last = await newest("largest-contentful-paint");
      return { response: responseEnd - requestStart, "first element": first - requestStart, "largest element": last - requestStart };
    }));
    await page.context().close();
  }
  for (const name of Object.keys(times[0])) {
    const sorted = times.map((one) => one[name]).slice().sort((a, b) => a - b);
    t.diagnostic(`${name}: median ${sorted[10].toFixed(0)} ms, from ${sorted[0].toFixed(0)} to ${sorted[19].toFixed(0)} ms`);
    assert(sorted[0] > 0, "it was measured");
  }
});
