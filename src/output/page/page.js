// Keeps the page up to date: at each event of the stream it asks for the sections that the program renders, and exchanges
// what has changed in place. Without it, the page shows what it was at loading, and all links work.
"use strict";
(() => {
  const body = document.body;
  const find = (id) => document.getElementById(id);
  const connection = find("connection");

  // The program's clock: the newest time it has sent, and the time since.
  let told = Date.parse(body.dataset.now);
  let toldAt = performance.now();
  const now = () => told + performance.now() - toldAt;
  const hear = (time) => {
    if (time > now()) {
      told = time;
      toldAt = performance.now();
    }
  };
  const clock = (time) => new Date(time + body.dataset.offset * 1000).toISOString().slice(11, 16);

  const ago = (seconds) => {
    if (seconds < 1) return "just now";
    if (seconds < 60) return `${Math.floor(seconds)} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ago`;
    return `${Math.floor(seconds / 86400)} d ago`;
  };
  const set = (node, text) => {
    if (node.textContent !== text) node.textContent = text;
  };
  const tick = () => {
    for (const node of document.querySelectorAll("time[data-age]")) {
      set(node, ago((now() - Date.parse(node.dateTime)) / 1000));
    }
  };

  // Changes `old` into `fresh` and leaves alone what is the same, so that the focus and what is open stay.
  const morph = (old, fresh) => {
    if (old.hasAttribute("data-own") || old.isEqualNode(fresh)) return;
    const isBox = old.classList.contains("box");
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !["open", "tabindex"].includes(name) && !isBox) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    const olds = [...old.childNodes];
    const news = [...fresh.childNodes];
    news.forEach((node, n) => {
      const known = olds[n];
      if (!known) old.append(node);
      else if (known.nodeName !== node.nodeName || known.id !== node.id) known.replaceWith(node);
      else if (node.nodeType === Node.ELEMENT_NODE) morph(known, node);
      else if (known.data !== node.data) known.data = node.data;
    });
    olds.slice(news.length).forEach((node) => node.remove());
  };
  const show = (html) => {
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const section of [...fresh.body.children]) {
      const known = find(section.id);
      if (known) morph(known, section);
    }
    const title = find("now").dataset.title;
    document.title = title ? `${title} · enphased` : "enphased";
    prepare();
    tick();
  };

  // Asks for a part of the page. One request at a time for each part, at most one in a second.
  const part = (path) => {
    let busy = false;
    let again = false;
    const ask = async () => {
      if (busy) {
        again = true;
        return;
      }
      busy = true;
      again = false;
      const earliest = new Promise((resolve) => setTimeout(resolve, 1000));
      try {
        const response = await fetch(path(), { cache: "no-cache" });
        const isOurs = response.headers.get("content-type")?.includes("problem");
        // Home Assistant refuses as well, until it has renewed its session.
        if (response.status === 401 && isOurs) location.reload();
        if (response.ok) {
          show(await response.text());
          if (isHeld) alive();
        }
      } catch {
        // The stream says that the connection is lost.
      }
      await earliest;
      busy = false;
      if (again) ask();
    };
    return ask;
  };
  const askNow = part(() => "page/now");
  const askReaders = part(() => "page/readers");
  const askHistory = part(() => `page/history${location.search}`);

  let source;
  let lost = false;
  let heard = performance.now();
  let wait = 0;
  let delay = 3000;
  let hidden;
  // The first values come at once, so a stream without any is held back on the way.
  let isHeld = true;
  let opened = 0;
  const alive = () => {
    heard = performance.now();
  };
  const lose = () => {
    if (lost) return;
    lost = true;
    connection.dataset.state = "lost";
    set(connection, `Not connected since ${clock(now())}`);
  };
  const open = async () => {
    alive();
    isHeld = true;
    opened = performance.now();
    delay = 3000;
    const wasLost = lost;
    lost = false;
    connection.dataset.state = "live";
    set(connection, "Live");
    askNow();
    askReaders();
    askHistory();
    if (wasLost) {
      // After an update of the program the page is made for another script.
      const script = await fetch("page.js", { cache: "no-cache" }).catch(() => undefined);
      const tag = script?.ok && script.headers.get("etag");
      if (tag && !tag.includes(body.dataset.script)) location.reload();
    }
  };
  const connect = () => {
    clearTimeout(wait);
    source?.close();
    alive();
    source = new EventSource("api/v1/stream?groups=gateways,production,token,events");
    source.onopen = open;
    source.onerror = () => {
      lose();
      // The browser tries again by itself, unless the response was an error.
      if (source.readyState === EventSource.CLOSED) {
        wait = setTimeout(connect, delay);
        delay = Math.min(delay * 2, 60000);
      }
    };
    for (const group of ["gateways", "production", "token", "events"]) {
      source.addEventListener(group, (event) => {
        alive();
        if (heard - opened < 5000) isHeld = false;
        if (group === "production") hear(Date.parse(JSON.parse(event.data).time));
        askNow();
      });
    }
    source.addEventListener("ping", (event) => {
      alive();
      hear(Date.parse(JSON.parse(event.data).time));
      askNow();
      askReaders();
    });
  };
  setInterval(() => {
    tick();
    // A sign of life comes every 30 s.
    if (source && performance.now() - heard > 75000) {
      lose();
      connect();
    }
  }, 1000);
  // Home Assistant 2024.2 compresses a stream, and holds it back until there is enough of it.
  setInterval(() => source && !lost && isHeld && askNow(), 5000);
  setInterval(() => source && !lost && askHistory(), 60000);
  // A window that nobody sees keeps no connection: browsers allow few of them.
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden);
    if (!document.hidden && !source) connect();
    if (document.hidden) {
      hidden = setTimeout(() => {
        source?.close();
        source = undefined;
      }, 60000);
    }
  });

  // Steps through the history without loading the page again.
  const step = async (query, isNew) => {
    try {
      const response = await fetch(`page/history${query}`, { cache: "no-cache" });
      if (!response.ok) throw new Error(response.statusText);
      const html = await response.text();
      if (isNew) history.pushState(null, "", query || location.pathname);
      leave();
      const focused = document.activeElement;
      show(html);
      if (focused && !focused.isConnected) find("history-time")?.focus();
    } catch {
      location.href = query || "./";
    }
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.('#history a[href^="?"]');
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    step(link.getAttribute("href"), true);
  });
  addEventListener("popstate", () => step(location.search, false));

  // Shows the values below the pointer or at the arrow keys. The program has written them into the table.
  const rowsOf = (box) => [...box.closest("figure").querySelectorAll("tbody tr")];
  const prepare = () => {
    for (const box of document.querySelectorAll(".box")) {
      const rows = rowsOf(box);
      box.tabIndex = 0;
      box.setAttribute("role", "slider");
      box.setAttribute("aria-label", `${box.querySelector("svg").getAttribute("aria-label")}; arrow keys step through it`);
      box.setAttribute("aria-valuemin", "0");
      box.setAttribute("aria-valuemax", String(Math.max(rows.length - 1, 0)));
      const at = Math.min(Number(box.dataset.at ?? rows.length - 1), rows.length - 1);
      box.setAttribute("aria-valuenow", String(Math.max(at, 0)));
      box.setAttribute("aria-valuetext", rows[at] ? words(rows[at]) : "no values");
    }
    // All tiles are one stop of the tab key.
    for (const { children } of document.querySelectorAll(".tiles")) {
      const stop = [...children].find((tile) => tile.tabIndex === 0) ?? children[0];
      for (const tile of children) tile.tabIndex = tile === stop ? 0 : -1;
    }
  };
  const words = (row) => {
    const heads = [...row.closest("table").querySelectorAll("thead th")].map((head) => head.textContent);
    const cells = [...row.cells].map((cell) => cell.textContent.trim());
    const values = cells.slice(1).map((cell, n) => cell && `${heads[n + 1].toLowerCase()} ${cell}`);
    return `${cells[0]}: ${values.filter(Boolean).join(", ")}`;
  };
  const select = (box, n) => {
    const rows = rowsOf(box);
    const row = rows[Math.max(0, Math.min(n, rows.length - 1))];
    if (!row) return;
    const at = rows.indexOf(row);
    const figure = box.closest("figure");
    const cross = box.querySelector(".cross");
    box.dataset.at = at;
    box.setAttribute("aria-valuenow", String(at));
    box.setAttribute("aria-valuetext", words(row));
    cross.style.left = `${row.dataset.x}%`;
    cross.hidden = false;
    set(figure.querySelector(".readout"), words(row));
  };
  const leave = () => {
    for (const box of document.querySelectorAll(".box")) {
      delete box.dataset.at;
      box.querySelector(".cross").hidden = true;
      set(box.closest("figure").querySelector(".readout"), "");
    }
  };
  const nearest = (box, x) => {
    const { left, width } = box.getBoundingClientRect();
    const at = ((x - left) / width) * 100;
    const far = rowsOf(box).map((row) => Math.abs(row.dataset.x - at));
    return far.indexOf(Math.min(...far));
  };
  const follow = (box) => rowsOf(box)[box.dataset.at]?.querySelector("a")?.click();
  let before;
  document.addEventListener("pointerdown", (event) => {
    const box = event.target.closest?.(".box");
    before = box?.dataset.at;
    if (box) select(box, nearest(box, event.clientX));
  });
  document.addEventListener("pointermove", (event) => {
    const box = event.target.closest?.(".box");
    if (box) select(box, nearest(box, event.clientX));
  });
  document.addEventListener("pointerout", (event) => {
    const box = event.target.closest?.(".box");
    if (box && event.pointerType === "mouse" && !box.contains(event.relatedTarget) && document.activeElement !== box) leave();
  });
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.(".box");
    // A first tap shows the values, a second one on the same bar goes there.
    if (box && (event.pointerType !== "touch" || before === box.dataset.at)) follow(box);
  });
  document.addEventListener("focusin", (event) => {
    const box = event.target;
    if (box.classList?.contains("box") && box.dataset.at === undefined) select(box, rowsOf(box).length - 1);
  });
  document.addEventListener("focusout", (event) => event.target.classList?.contains("box") && leave());
  document.addEventListener("keydown", (event) => {
    const box = event.target;
    if (!box.classList?.contains("box")) return;
    const at = Number(box.dataset.at ?? 0);
    const last = rowsOf(box).length - 1;
    const to = {
      ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1,
      PageUp: at + 8, PageDown: at - 8, Home: 0, End: last,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      select(box, to);
    } else if (event.key === "Enter") follow(box);
  });

  document.addEventListener("keydown", (event) => {
    const tile = event.target;
    if (!tile.matches?.(".tiles > li")) return;
    const tiles = [...tile.parentNode.children];
    const at = tiles.indexOf(tile);
    const row = tiles.filter(({ offsetTop }) => offsetTop === tiles[0].offsetTop).length;
    const to = tiles[{
      ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + row, ArrowUp: at - row, Home: 0, End: tiles.length - 1,
    }[event.key]];
    if (!to) return;
    event.preventDefault();
    tile.tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });

  prepare();
  tick();
  connect();
})();
