// The page in a frame of Home Assistant OS: behind the ingress of its Core and of its Supervisor, and nowhere else.

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { createGzip, gzipSync } from "node:zlib";

import { assertNumbers, shown } from "./numbers.mjs";
import { House, assertFits, browser, eventually, live, visit } from "./support.mjs";

const PATH = "/api/hassio_ingress/a-token/";
const PANEL = "/hassio/ingress/enphased";
const COOKIE = "ingress_session=a-session";
// The Supervisor's address, and the name that a browser knows Home Assistant by.
const SUPERVISOR = "127.0.0.2";
const NAME = "a-house.ui.example";
// What neither Core nor Supervisor passes on.
const NOT_TO_ADDON = ["content-length", "content-encoding", "transfer-encoding", "accept-encoding", "connection"];
const NOT_TO_BROWSER = ["transfer-encoding", "content-length", "content-type", "content-encoding", "connection"];

const without = (headers, names) => Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));

/**
 * Home Assistant: a page with the add-on in a frame, and what `hassio/ingress.py` (Core) and `api/ingress.py` (Supervisor) do
 * with requests. `isOld`: as Core 2024.2, which knows no HEAD there, and compresses a stream without ever flushing it.
 */
class HomeAssistant {
  static async start(house, { isOld = false } = {}) {
    const core = new HomeAssistant();
    Object.assign(core, { target: new URL(house.url), isOld, isSessionValid: true, methods: [] });
    core.server = http.createServer((request, response) => core.answer(request, response));
    core.server.on("upgrade", (request, socket) => core.upgrade(request, socket));
    await new Promise((resolve) => core.server.listen(0, "127.0.0.1", resolve));
    core.url = `http://127.0.0.1:${core.server.address().port}`;
    return core;
  }

  async end() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  answer(request, response) {
    response.on("error", () => {});
    const always = { "referrer-policy": "no-referrer", "x-content-type-options": "nosniff", "x-frame-options": "SAMEORIGIN" };
    if (request.url === PANEL) {
      const frame = `<iframe title="enphased" src="${PATH}" style="width: 1000px; height: 800px"></iframe>`;
      const cookie = `${COOKIE}; Path=/api/hassio_ingress/; HttpOnly; SameSite=Strict`;
      response.writeHead(200, { ...always, "content-type": "text/html", "set-cookie": cookie });
      return response.end(`<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Home Assistant</title>${frame}`);
    }
    if (!request.url.startsWith(PATH)) return response.writeHead(404, always).end();
    this.methods.push(request.method);
    const refuse = (status, words) => response.writeHead(status, { ...always, "content-type": "text/plain" }).end(words);
    if (this.isOld && request.method === "HEAD") return refuse(405, "405: Method Not Allowed");
    if (!this.isSessionValid || !request.headers.cookie?.includes(COOKIE)) return refuse(401, "401: Unauthorized");
    const onward = http.request(this.onward(request), (answer) => this.pass(request, answer, response, always));
    onward.on("error", () => (response.headersSent ? response.destroy() : refuse(502, "502: Bad Gateway")));
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  /** Describes the request to the add-on. It comes from the Supervisor, for the name that the browser used. */
  onward(request, more = {}) {
    const headers = {
      ...without(request.headers, NOT_TO_ADDON), host: NAME, "x-ingress-path": PATH.slice(0, -1), "x-hass-source": "core.ingress",
      "x-forwarded-for": "192.168.1.77, 172.30.32.1", "x-forwarded-host": NAME, "x-forwarded-proto": "https", ...more,
    };
    const { hostname, port } = this.target;
    const path = request.url.slice(PATH.length - 1);
    return { host: hostname, port, path, method: request.method, headers, localAddress: SUPERVISOR, agent: false };
  }

  pass(request, answer, response, always) {
    answer.on("error", () => response.destroy());
    // Both take away the charset.
    const kind = answer.headers["content-type"]?.split(";")[0];
    const headers = { ...without(answer.headers, NOT_TO_BROWSER), ...always };
    if (kind) headers["content-type"] = kind;
    const isCompressed = kind && (kind !== "text/event-stream" || this.isOld);
    if (answer.headers["content-length"] === undefined && ![204, 304].includes(answer.statusCode) && request.method !== "HEAD") {
      if (!isCompressed) {
        response.writeHead(answer.statusCode, headers).flushHeaders();
        return answer.pipe(response);
      }
      response.writeHead(answer.statusCode, { ...headers, "content-encoding": "gzip" }).flushHeaders();
      return answer.pipe(createGzip()).pipe(response);
    }
    const chunks = [];
    answer.on("data", (chunk) => chunks.push(chunk));
    answer.on("end", () => {
      const body = Buffer.concat(chunks);
      if (!isCompressed || body.length <= 128) return response.writeHead(answer.statusCode, headers).end(body);
      response.writeHead(answer.statusCode, { ...headers, "content-encoding": "gzip" }).end(gzipSync(body));
    });
  }

  upgrade(request, socket) {
    const { origin } = request.headers;
    const onward = http.request(this.onward(request, { connection: "Upgrade", origin: origin?.replace(this.url, `https://${NAME}`) }));
    onward.on("upgrade", (answer, other, head) => {
      const lines = Object.entries(answer.headers).map(([name, value]) => `${name}: ${value}\r\n`);
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`);
      socket.write(head);
      other.pipe(socket).on("error", () => other.destroy());
      socket.pipe(other).on("error", () => socket.destroy());
    });
    onward.on("response", (answer) => socket.end(`HTTP/1.1 ${answer.statusCode} Refused\r\n\r\n`));
    onward.on("error", () => socket.destroy());
    onward.end();
  }
}

let chrome, house;
before(async () => {
  chrome = await browser();
  house = await House.start("no-access");
});
after(async () => {
  await house.end();
  await chrome.close();
});

/** Opens the add-on's page inside Home Assistant. Returns the page around it, and the frame. */
const opened = async (core) => {
  const page = await visit(chrome, core.url, { path: PANEL });
  const frame = await (await page.waitForSelector("iframe")).contentFrame();
  await live(frame);
  return { page, frame };
};

const SUN = "#now .node.sun .value";
const changed = async (frame) => {
  const age = () => frame.evaluate(() => Date.parse(document.querySelector("#now time[datetime]").dateTime));
  const before = await age();
  await eventually(async () => assert((await age()) > before, "no newer reading is shown"));
};

const assertQuiet = (page, isExpected = () => false) => {
  const faults = page.seen.faults.filter((fault) => !isExpected(fault));
  assert.deepEqual(faults, [], "complaints of the browser");
  const elsewhere = page.seen.requests.map((request) => request.url())
    .filter((url) => !url.startsWith(page.home) && !url.startsWith("data:"));
  assert.deepEqual(elsewhere, [], "requests to elsewhere");
};

test("the page is whole and live in Home Assistant, without a token", async (t) => {
  const core = await HomeAssistant.start(house);
  t.after(() => core.end());
  const { page, frame } = await opened(core);
  await frame.evaluate(() => (window.isSame = true));
  assert.equal(await frame.evaluate(() => document.characterSet), "UTF-8");
  assert.equal(await frame.evaluate(() => document.styleSheets.length), 1);
  await assertFits(frame);
  await changed(frame);
  await changed(frame);
  await eventually(async () => assertNumbers(await shown(frame), await house.readings()));

  const title = () => frame.textContent("#history-time");
  const today = await title();
  const go = (name) => frame.click(`#history nav.steps a:text-is("${name}"), #history nav.steps a[aria-label="${name}"]`);
  await go("Earlier");
  await eventually(async () => assert.match(await title(), /27 June 2026/));
  await go("Month");
  await eventually(async () => assert.match(await title(), /^June 2026/));
  await go("Year");
  await eventually(async () => assert.match(await title(), /2026/));
  assert(frame.url().startsWith(core.url + PATH), frame.url());
  for (const query of ["?month=2026-06", "?day=2026-06-27", ""]) {
    await page.evaluate(() => history.back());
    await frame.waitForURL(core.url + PATH + query);
  }
  await eventually(async () => assert.equal(await title(), today));
  assert(await frame.evaluate(() => window.isSame), "the page was loaded again");
  assert.equal(page.url(), core.url + PANEL, "Home Assistant is left");
  for (const link of await frame.locator("a[href]").all()) {
    const url = new URL(await link.evaluate((node) => node.href));
    // A page of somebody else would not let itself be shown in the frame.
    if (url.origin !== core.url) assert.equal(await link.getAttribute("target"), "_blank", url.href);
    else assert(url.pathname.startsWith(PATH), url.href);
  }
  assertQuiet(page);

  const socket = await frame.evaluate(() => new Promise((resolve) => {
    const socket = new WebSocket(new URL("api/v1/socket", document.baseURI).href.replace(/^http/, "ws"));
    socket.onmessage = ({ data }) => resolve(JSON.parse(data));
    socket.onerror = () => resolve("refused");
  }));
  assert.notEqual(socket, "refused");
  await page.context().close();
});

test("without the script, the links of the history work in the frame", async (t) => {
  const core = await HomeAssistant.start(house);
  t.after(() => core.end());
  const page = await visit(chrome, core.url, { path: PANEL, javaScriptEnabled: false });
  const frame = page.frameLocator("iframe");
  for (const [name, time] of [["Earlier", /27 June 2026/], ["Month", /June 2026/], ["Year", /2026/]]) {
    await frame.locator(`#history nav.steps a:text-is("${name}"), #history nav.steps a[aria-label="${name}"]`).click();
    await frame.locator("#history-time", { hasText: time }).waitFor();
  }
  assertQuiet(page);
  await page.context().close();
});

test("an older Home Assistant holds the stream back, and the page is live all the same", async (t) => {
  const core = await HomeAssistant.start(house, { isOld: true });
  t.after(() => core.end());
  const { page, frame } = await opened(core);
  await frame.evaluate(() => (window.isSame = true));
  const asked = core.methods.length;
  await changed(frame);
  await changed(frame);
  await changed(frame);
  // A stream is opened again only after 75 s without a sign of life.
  const streams = page.seen.requests.filter((request) => request.url().includes("api/v1/stream"));
  assert.equal(streams.length, 1);
  assert(core.methods.length > asked);
  await eventually(async () => assertNumbers(await shown(frame), await house.readings()));
  await house.kill();
  await frame.waitForSelector("#connection[data-state=lost]");
  await house.run();
  await live(frame);
  await changed(frame);
  await changed(frame);
  assert.deepEqual(core.methods.filter((method) => method !== "GET"), [], "it knows nothing else");
  assert(await frame.evaluate(() => window.isSame), "the page was loaded again");
  await page.context().close();
});

test("the page stays when the session of Home Assistant ends, and continues with the next one", async (t) => {
  const core = await HomeAssistant.start(house);
  t.after(() => core.end());
  const { page, frame } = await opened(core);
  await frame.evaluate(() => (window.isSame = true));
  core.isSessionValid = false;
  await page.waitForResponse((response) => response.url().includes("/page/now") && response.status() === 401);
  core.server.closeAllConnections();
  await frame.waitForSelector("#connection[data-state=lost]");
  core.isSessionValid = true;
  await live(frame);
  await changed(frame);
  assert(await frame.evaluate(() => window.isSame), "the page was loaded again");
  await page.context().close();
});

test("no page of another server may show it in a frame", async (t) => {
  const core = await HomeAssistant.start(house);
  t.after(() => core.end());
  const stranger = http.createServer((request, response) => {
    const { searchParams } = new URL(request.url, "http://stranger");
    response.writeHead(200, { "content-type": "text/html" });
    response.end(`<!doctype html><link rel="icon" href="data:,"><iframe src="${searchParams.get("frame")}"></iframe>`);
  });
  await new Promise((resolve) => stranger.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    stranger.closeAllConnections();
    stranger.close();
  });
  const open = await House.start("one-inverter");
  t.after(() => open.end());
  // Of the daemon, for those who may read; of the daemon, for those who may not; of Home Assistant.
  for (const url of [open.url, house.url, core.url + PATH]) {
    const page = await visit(chrome, `http://127.0.0.1:${stranger.address().port}`, { path: `/?frame=${encodeURIComponent(url)}` });
    await eventually(async () => assert(page.seen.faults.some((fault) => /frame/i.test(fault)), page.seen.faults.join("\n")));
    await eventually(async () => assert.match(page.frames()[1].url(), /^chrome-error:/, `${url} is shown`));
    await page.context().close();
  }
});

test("only the address of the Supervisor needs no token, whatever a request says", async () => {
  const ask = (localAddress, headers) => new Promise((resolve, reject) => {
    const { hostname, port } = new URL(house.url);
    const request = { host: hostname, port, localAddress, agent: false, headers: { accept: "text/html", ...headers } };
    http.get(request, (response) => resolve(response.resume().statusCode)).on("error", reject);
  });
  const claims = {
    "x-ingress-path": PATH.slice(0, -1), "x-hass-source": "core.ingress", "x-forwarded-for": SUPERVISOR,
    "x-real-ip": SUPERVISOR, forwarded: `for=${SUPERVISOR}`, cookie: COOKIE, "x-remote-user-id": "owner",
  };
  assert.equal(await ask(SUPERVISOR, { host: NAME }), 200);
  assert.equal(await ask("127.0.0.1", claims), 401);
  assert.equal(await ask("127.0.0.3", claims), 401);
  assert.equal(await ask("127.0.0.3", { ...claims, host: NAME }), 421);
});
