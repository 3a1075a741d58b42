// The page in every state of a house, in a real browser.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { assertNumbers, assertWords, shown } from "./numbers.mjs";
import {
  House, assertClean, assertFits, assertLooks, browser, eventually, live, states, visit,
} from "./support.mjs";

// What has to be on the page of a state, and what must not.
const WORDS = {
  "day": { has: [/reported nothing/, /self-sufficient/] },
  "night": { has: [/House/, /discharging|importing/] },
  "first-minute": { has: [/Waiting for the first reading/] },
  "first-login-held-back": { has: [/too many active sessions/, /There is no token yet/] },
  "away": { has: [/connection refused/, /Not now: values of 13:0\d/] },
  "two-hours-old": { has: [/connection refused/, /Not now: values of 13:0\d/, /2 h ago/] },
  "token-refused": { has: [/does not accept the token/, /No login before|limit is one a day/] },
  "login-held-back": { has: [/does not accept the token/, /too many active sessions/] },
  "many-inverters": { has: [/240 inverters/] },
  "one-inverter": { has: [/One inverter/], not: [/inverters;/] },
  "three-phases": { has: [/L1/, /L2/, /L3/] },
  "battery-only": { has: [/IQ Battery/], not: [/\bSun\b/, /Produced/] },
  "several-gateways": { has: [/122300000001/, /122300001003/, /122300002002/, /not every gateway measures it/] },
  "sum-with-gaps": { has: [/All gateways/, /curve has gaps/, /Gateway …1003/] },
  "production-only": { has: [/\bSun\b/], not: [/House\b.*using/, /exporting|importing/] },
  "no-history": { has: [/history is switched off/i] },
};

let chrome;
const houses = new Map();
const build = (name) => {
  if (name && !houses.has(name)) {
    const house = House.start(name);
    // Whoever waits for it gets the error.
    house.catch(() => {});
    houses.set(name, house);
  }
  return houses.get(name);
};
before(async () => (chrome = await browser()));
after(async () => {
  for (const house of houses.values()) await (await house).end();
  await chrome.close();
});

const names = states().filter((name) => !["live", "no-access"].includes(name));
for (const [n, name] of names.entries()) {
  test(`the state ${name}`, async (t) => {
    const house = await build(name);
    // The next one is built while this one is looked at.
    build(names[n + 1]);
    t.after(() => house.end());
    const page = await visit(chrome, house.url);
    await live(page);
    await t.test("shows the numbers of the reading, and nothing that is not measured", async () => {
      await eventually(async () => assertNumbers(await shown(page), await house.readings()));
      assertWords(await shown(page));
    });
    await assertLooks(t, page);
    await t.test("loads nothing from elsewhere, and the browser does not complain", () => assertClean(page));
    await page.context().close();
    await t.test("says what there is to say, without the script too", async () => {
      const page = await visit(chrome, house.url, { javaScriptEnabled: false });
      const words = await page.innerText("body");
      for (const pattern of WORDS[name]?.has ?? []) assert.match(words, pattern);
      for (const pattern of WORDS[name]?.not ?? []) assert.doesNotMatch(words, pattern);
      assertNumbers(await shown(page), await house.readings());
      assertWords(await shown(page));
      await assertFits(page);
      assertClean(page);
      await page.context().close();
    });
  });
}
