// Writes a picture of each state to a folder: phone and desktop, light and dark, and the views of the history.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { DESKTOP, House, PHONE, SCHEMES, browser, live, states, visit } from "./support.mjs";

const [folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const chrome = await browser();
const VIEWS = { "": "", "-month": "?month=2026-05", "-year": "?year=2026" };

const names = states().filter((state) => state !== "live");
let next = House.start(names[0]);
for (const [n, state] of names.entries()) {
  const house = await next;
  // The next one is built meanwhile.
  next = names[n + 1] && House.start(names[n + 1]);
  for (const [view, path] of Object.entries(VIEWS)) {
    if (view && state !== "day") continue;
    const page = await visit(chrome, house.url, { path });
    if (page.first.ok()) await live(page);
    for (const [device, viewport] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
      for (const colorScheme of SCHEMES) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: join(folder, `${state}${view}-${device}-${colorScheme}.png`), fullPage: true });
      }
    }
    await page.context().close();
  }
  await house.end();
  console.log(state);
}
await chrome.close();
