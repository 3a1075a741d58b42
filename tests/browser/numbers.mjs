// What the page has to show of a reading, and what it must not show because the gateway does not measure it.

import assert from "node:assert/strict";

const scaled = (value, [unit, thousands, millions]) => {
  const digits = (it) => it.toFixed(Math.abs(it) < 9.995 ? 2 : Math.abs(it) < 99.95 ? 1 : 0);
  const size = Math.abs(value);
  if (size < 999.5) return `${Math.round(value) || 0} ${unit}`;
  return size < 999_500 ? `${digits(value / 1e3)} ${thousands}` : `${digits(value / 1e6)} ${millions}`;
};
export const power = (watts) => scaled(watts, ["W", "kW", "MW"]);
export const energy = (wattHours) => scaled(wattHours, ["Wh", "kWh", "MWh"]);

const word = (watts, [positive, negative]) =>
  Math.abs(watts) < 0.5 ? "idle" : watts > 0 ? positive : negative;

/** Returns what the picture of one gateway has to show: value and word of each part, `undefined` if it is not measured. */
const expected = ({ production, consumption, grid, storage }) => {
  const part = (watts, text, words) => (watts === undefined ? undefined : [text(watts), word(watts, words)]);
  const size = (watts) => power(Math.abs(watts));
  const flows = {
    house: consumption?.power_w === undefined ? undefined : [power(consumption.power_w), "using"],
    grid: part(grid?.power_w, size, ["importing", "exporting"]),
    battery: part(storage?.power_w, size, ["discharging", "charging"]),
  };
  if (flows.battery && storage?.soc_percent !== undefined) flows.battery.push(`${Math.round(storage.soc_percent)} %`);
  return { ...flows, sun: production?.power_w === undefined ? undefined : [power(production.power_w)] };
};

/** Reads the pictures of all gateways from the page. */
export const shown = (page) =>
  page.evaluate(() => {
    const text = (node) => node.textContent.replace(/\s+/g, " ").trim();
    const all = (selector, root = document) => [...root.querySelectorAll(selector)];
    const part = (root, name) => all(`svg.flow .node.${name}`, root)[0];
    const flows = (root) => Object.fromEntries(["sun", "house", "grid", "battery"].map((name) => {
      const node = part(root, name);
      return [name, node && { value: text(node.querySelector(".value")), words: text(node) }];
    }));
    const isVisible = (node) => node && node.getClientRects().length > 0;
    const visible = (selector) => isVisible(document.querySelector(selector));
    return {
      pictures: Object.fromEntries(all("#now [data-serial]").map((node) => [node.dataset.serial, flows(node)])),
      today: Object.fromEntries(all("#today .amounts > div").filter((node) => node.querySelector("b"))
        .map((node) => [text(node.querySelector("dt")), text(node.querySelector("b"))])),
      tiles: all("#inverters .tiles li").map(text),
      batteries: all("#batteries .rows li").map(text),
      visible: { inverters: visible("#inverters"), batteries: visible("#batteries"), phases: visible("#phases") },
      phases: all("#phases thead th").map(text),
      sections: all("main > section").filter(isVisible).map((node) => ({ id: node.id, words: text(node) })),
    };
  });

/** The energies that have a sum only if every gateway measures them, and their groups. */
const OF_ALL = { Used: "consumption", Imported: "grid", Exported: "grid" };

/** Fails if the page shows another number than the readings, or something that is not measured. */
export const assertNumbers = (page, readings) => {
  const all = Object.values(readings);
  assert.deepEqual(Object.keys(page.pictures).sort(), Object.keys(readings).sort(), "gateways with a picture");
  for (const [serial, reading] of Object.entries(readings)) {
    for (const [name, want] of Object.entries(expected(reading))) {
      const is = page.pictures[serial][name];
      assert.equal(is === undefined, want === undefined, `${name} of ${serial} is shown exactly if it is measured`);
      if (!want) continue;
      assert.equal(is.value, want[0], `${name} of ${serial}`);
      for (const part of want) assert(is.words.includes(part), `${name} of ${serial}: "${is.words}" has ${part}`);
    }
  }
  const today = {
    Produced: ({ production }) => production?.today_wh,
    Used: ({ consumption }) => consumption?.today_wh,
    Imported: ({ grid }) => grid?.import_today_wh,
    Exported: ({ grid }) => grid?.export_today_wh,
    Charged: ({ storage }) => storage?.charged_today_wh,
    Discharged: ({ storage }) => storage?.discharged_today_wh,
  };
  for (const [name, value] of Object.entries(today)) {
    const known = all.map(value).filter((value) => value !== undefined);
    if (known.length === all.length && known.length > 0) {
      assert.equal(page.today[name], energy(known.reduce((sum, value) => sum + value)), `today: ${name}`);
    }
    if (OF_ALL[name] && all.some((reading) => !reading[OF_ALL[name]])) {
      assert.equal(page.today[name], undefined, `today: ${name}, which not every gateway measures`);
    }
  }
  const inverters = all.flatMap(({ inverters }) => inverters ?? []);
  assert.equal(page.tiles.length, inverters.length, "a tile for each inverter");
  inverters.forEach(({ serial, power_w, condition }, n) => {
    assert(page.tiles[n].includes(serial), `${page.tiles[n]} is ${serial}`);
    if (condition === "silent" || condition === "weak") assert(page.tiles[n].includes(condition), page.tiles[n]);
    else if (power_w !== undefined) assert(page.tiles[n].includes(power(power_w)), `${page.tiles[n]} has ${power(power_w)}`);
  });
  const batteries = all.flatMap(({ batteries }) => batteries ?? []);
  assert.equal(page.batteries.length, batteries.length, "a row for each battery");
  batteries.forEach(({ serial, soc_percent }, n) => {
    assert(page.batteries[n].includes(serial), `${page.batteries[n]} is ${serial}`);
    if (soc_percent !== undefined) assert(page.batteries[n].includes(`${Math.round(soc_percent)} %`), page.batteries[n]);
  });
  const phases = all.flatMap(({ phases }) => phases ?? []).map(({ phase }) => phase);
  assert.deepEqual(page.phases, phases, "phases");
  assert.equal(page.visible.inverters, inverters.length > 0, "inverters are shown exactly if there are some");
  assert.equal(page.visible.batteries, all.some(({ batteries, storage }) => batteries?.length || storage), "batteries");
  assert.equal(page.visible.phases, phases.length > 0, "phases are shown exactly if they are measured");
};

/** Fails if a section is empty or shows what no person understands. */
export const assertWords = (page) => {
  for (const { id, words } of page.sections) {
    assert(words.length > 10, `#${id} says something: "${words}"`);
    assert.doesNotMatch(words, /NaN|undefined|null|None\b|Invalid Date|\{|\}|-0 /, `#${id}`);
  }
};
