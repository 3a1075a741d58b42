// Simulated houses, a browser, and what every page is watched for.

import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const require = createRequire(join(process.env.ENPHASED_MODULES, "modules.js"));
const { chromium } = require("playwright-core");
const AXE = require("axe-core").source;
const PROGRAM = process.env.ENPHASED_HOUSE;

// Longer than anything here takes on a slow machine.
export const PATIENCE = Number(process.env.ENPHASED_PATIENCE ?? 120_000);
export const PHONE = { width: 360, height: 740 };
export const DESKTOP = { width: 1280, height: 900 };
export const SCHEMES = ["light", "dark"];

/** Returns the names of all states. */
export const states = () => execFileSync(PROGRAM, { encoding: "utf8" }).trim().split("\n");

/** Starts the browser, which reaches this machine only. */
export const browser = () =>
  chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });

/** A simulated house with the daemon in it. */
export class House {
  static async start(state) {
    const house = new House();
    house.state = state;
    house.folder = mkdtempSync(join(tmpdir(), "enphased-browser-"));
    await house.run();
    return house;
  }

  /** Starts the daemon, at the port of the one before. */
  async run() {
    const port = this.url ? [new URL(this.url).port] : [];
    this.process = spawn(PROGRAM, [this.state, this.folder, ...port], { stdio: ["pipe", "pipe", "pipe"] });
    this.log = "";
    this.process.stderr.on("data", (data) => (this.log += data));
    this.ended = new Promise((resolve) => this.process.once("close", resolve));
    const line = new Promise((resolve) => createInterface(this.process.stdout).once("line", resolve));
    const first = await Promise.race([line, this.ended.then(() => undefined)]);
    assert(first, `the house "${this.state}" has ended: ${this.log}`);
    const { url, token, last } = JSON.parse(first);
    this.last ??= last;
    this.url = `${url}/`;
    this.token = token ?? this.token;
  }

  /** Ends the daemon as a power cut does. */
  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  async end() {
    this.process.stdin.end();
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }

  async api(path) {
    const response = await fetch(`${this.url}api/v1/${path}`, { headers: { authorization: `Bearer ${this.token}` } });
    assert.equal(response.status, 200, path);
    return response.json();
  }

  /** Returns the newest readings of all gateways that have one, by serial number. */
  async readings() {
    const readings = {};
    for (const { serial, read_at, available } of await this.api("gateways")) {
      if (read_at) readings[serial] = available ? await this.api(`gateways/${serial}/reading`) : this.last[serial];
    }
    return readings;
  }
}

/** Opens a page, and watches for what must not happen on any. */
export const visit = async (browser, url, options = {}) => {
  const { path = "", ...rest } = options;
  const context = await browser.newContext({ viewport: DESKTOP, ...rest });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const seen = { requests: [], faults: [], loads: 0 };
  page.on("request", (request) => seen.requests.push(request));
  page.on("load", () => seen.loads++);
  page.on("pageerror", (error) => seen.faults.push(`error: ${error}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) seen.faults.push(`console: ${message.text()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) =>
      console.error(`${event.violatedDirective} forbids ${event.blockedURI}`));
  });
  const response = await page.goto(url + path);
  page.seen = seen;
  page.home = url;
  page.first = response;
  return page;
};

/** Waits until the page is live. */
export const live = (page) => page.waitForSelector("#connection[data-state=live]");

/** Fails if the page has loaded something from elsewhere, or has complained. */
export const assertClean = (page) => {
  const elsewhere = page.seen.requests.map((request) => request.url())
    .filter((url) => !url.startsWith(page.home) && !url.startsWith("data:"));
  assert.deepEqual(elsewhere, [], "requests to elsewhere");
  assert.deepEqual(page.seen.faults, [], "complaints of the browser");
};

/** Fails if axe-core finds something. */
export const assertAccessible = async (page) => {
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
  const words = found.violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id} (${help}): ${html.slice(0, 200)} ${failureSummary}`));
  assert.deepEqual(words, [], "violations that axe found");
};

/** Fails if the page is wider than the window, or something on it is cut off at the edge. */
export const assertFits = async (page) => {
  const { scroll, client, beyond } = await page.evaluate(() => {
    const root = document.documentElement;
    const isInScroller = (node) => node.parentElement?.closest(".scroll, .skip, svg, details:not([open])");
    const outside = (node) => {
      const { left, right, width } = node.getBoundingClientRect();
      return width > 0 && (left < -0.5 || right > root.clientWidth + 0.5) && !isInScroller(node) && !node.matches(".skip");
    };
    const beyond = [...document.body.querySelectorAll("*")].filter(outside).map((node) => node.outerHTML.slice(0, 120));
    return { scroll: root.scrollWidth, client: root.clientWidth, beyond };
  });
  assert(scroll <= client, `${scroll} pixels are wider than the window of ${client}`);
  assert.deepEqual(beyond, [], "cut off at the edge");
};

/** Looks at a page on a phone and on a desktop, in light and dark. */
export const assertLooks = async (t, page) => {
  for (const colorScheme of SCHEMES) {
    for (const viewport of [PHONE, DESKTOP]) {
      await t.test(`${viewport.width} pixels, ${colorScheme}: fits, and axe finds nothing`, async () => {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme });
        await assertFits(page);
        await assertAccessible(page);
      });
    }
  }
};

/** Repeats `check` until it passes: what is on its way takes a moment. */
export const eventually = async (check) => {
  const end = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
};
