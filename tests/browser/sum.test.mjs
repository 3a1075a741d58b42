// The history of several gateways together, where one of them was away for days, and for an hour of today.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { energy } from "./numbers.mjs";
import { House, assertClean, assertLooks, browser, live, visit } from "./support.mjs";

let chrome, house;
before(async () => {
  chrome = await browser();
  house = await House.start("sum-with-gaps");
});
after(async () => {
  await house.end();
  await chrome.close();
});

const SECOND = "122300001003";
const QUANTITIES = ["production", "consumption", "import", "export"];
const WORDS = { production: "produced", consumption: "used", import: "imported", export: "exported" };

/** Returns the values of both gateways. */
const histories = async (query) => {
  const gateways = (await house.api("gateways")).map(({ serial }) => serial);
  assert.equal(gateways.length, 2);
  return Promise.all(gateways.map(async (serial) => (await house.api(`gateways/${serial}/history?${query}`)).values));
};

/** Returns the totals and the table of the history that is shown. */
const shown = (page) =>
  page.evaluate(() => {
    const text = (node) => node.textContent.replace(/\s+/g, " ").trim();
    const section = document.querySelector("#history");
    const rows = [...section.querySelectorAll("tbody tr")].map((row) => [...row.cells].map(text));
    return {
      totals: Object.fromEntries([...section.querySelectorAll(".total span")].filter((node) => node.querySelector("b"))
        .map((node) => [text(node).split(" ")[0], text(node.querySelector("b"))])),
      heads: [...section.querySelectorAll("thead th")].map(text),
      rows,
      runs: (section.querySelector(".line.sun")?.getAttribute("d").match(/M/g) ?? []).length,
      chosen: [...section.querySelectorAll(".choice [aria-current]")].map(text),
      choices: [...section.querySelectorAll(".choice a")].map(text),
      words: text(section),
    };
  });

const open = async (path) => {
  const page = await visit(chrome, house.url, { path });
  await live(page);
  return page;
};

test("a day is the sum of all gateways, with a gap where one was away", async () => {
  const page = await open("");
  const history = await shown(page);
  assert.deepEqual(history.choices, ["All gateways", "Gateway …0001", "Gateway …1003"]);
  assert.deepEqual(history.chosen, ["All gateways"]);
  assert.match(history.words, /curve has gaps where not every gateway was recorded/);
  assert.equal(history.runs, 2, "two runs around the absence");
  const times = history.rows.filter(([, produced]) => produced).map(([time]) => time);
  assert(times.includes("5:45") && !times.includes("7:00") && times.includes("8:30"), times.join(" "));
  const days = await histories("from=2026-06-28&to=2026-06-28&step=day");
  for (const quantity of QUANTITIES) {
    const sum = days.reduce((sum, [day]) => sum + day[`${quantity}_wh`], 0);
    assert.equal(history.totals[WORDS[quantity]], energy(sum), quantity);
  }
  const samples = await histories("from=2026-06-28&to=2026-06-28&step=5m");
  const noon = samples.map((all) => all.filter(({ time }) => /T12:(00|05|10)/.test(time)));
  const mean = noon.flat().reduce((sum, { production_w }) => sum + production_w, 0) / 3;
  const shownMean = history.rows.find(([time]) => time === "12:00")[1];
  assert(Math.abs(parseFloat(shownMean) * 1000 - mean) < 60, `${shownMean} is ${mean} W`);
  assertClean(page);
  await page.context().close();
});

test("the energy of the days without one gateway is that of the day on which it was counted", async () => {
  const page = await open("?month=2026-06");
  const { rows, heads, totals, words } = await shown(page);
  const place = heads.indexOf("Produced");
  const dates = rows.map(([date]) => date);
  // It was away from the morning of the 25th on.
  assert(dates.includes("24 June") && !dates.includes("25 June") && !dates.includes("26 June"), dates.join(" "));
  const long = rows.find(([date]) => date === "27 June (3 days)");
  const [first, second] = await histories("from=2026-06-25&to=2026-06-27&step=day");
  assert.deepEqual([first.length, second.length], [3, 2], "the second gateway has no values of the 26th");
  const sum = [...first, ...second].reduce((sum, { production_wh }) => sum + production_wh, 0);
  assert.equal(long?.[place], energy(sum));
  const months = await histories("from=2026-06&to=2026-06&step=month");
  const whole = months.flat().reduce((sum, { production_wh }) => sum + production_wh, 0);
  assert.equal(totals.produced, energy(whole), "nothing is lost or counted twice");
  assert.doesNotMatch(words, /No sum/);
  await page.context().close();
});

test("a day without one gateway has no sum, and says which one", async () => {
  const page = await open("?day=2026-06-26");
  const { totals, words, runs } = await shown(page);
  assert.deepEqual([totals, runs], [{}, 0]);
  assert.match(words, /No sum: Gateway …1003 was not recorded throughout this day\./);
  assert.doesNotMatch(words, /Nothing was recorded/);
  await page.click('#history .choice a:text-is("Gateway …0001")');
  await page.waitForURL(/\?day=2026-06-26&gateway=122300000001$/);
  await page.waitForSelector("#history .line.sun");
  assert.deepEqual((await shown(page)).chosen, ["Gateway …0001"]);
  await page.click('#history nav.steps a:text-is("Month")');
  await page.waitForURL(/\?month=2026-06&gateway=122300000001$/);
  await page.click('#history .choice a:text-is("All gateways")');
  await page.waitForURL(/\?month=2026-06$/);
  assertClean(page);
  await page.context().close();
});

test("the year has a bar for each month, and all views fit", async (t) => {
  for (const path of ["", "?month=2026-06", "?day=2026-06-26", "?years=all", `?year=2026&gateway=${SECOND}`, "?year=2026"]) {
    const page = await open(path);
    await assertLooks(t, page);
    if (path === "?year=2026") {
      const { rows, heads } = await shown(page);
      const place = heads.indexOf("Produced");
      const [first, second] = await histories("from=2026-01&to=2026-06&step=month");
      assert.equal(rows.length, 6);
      rows.forEach((row, n) => assert.equal(row[place], energy(first[n].production_wh + second[n].production_wh)));
    }
    await page.context().close();
  }
});
