"use strict";
(() => {
  const N_MORE = 500; // rows that are made at once on demand
  const form = document.getElementById("filter");
  const query = document.getElementById("query");
  const shown = document.getElementById("shown");
  const verdictChips = [...form.querySelectorAll("button[data-verdict]")];
  const otherChips = [...form.querySelectorAll("button[data-by]")];
  const fold = document.getElementById("passed-fold");
  const foldedAtFirst = fold !== null && !fold.open;
  const pressed = (chip) => chip.getAttribute("aria-pressed") === "true";
  const words = (text) => text.split(" ").filter(Boolean);
  const element = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text });

  // Every case is an entry: its row, made when it is first needed if it came as data, and its section, which shows when it fits.
  const tables = [...document.querySelectorAll("table[data-filtered]")].map((table) => {
    const body = table.tBodies[0];
    const written = [...body.rows].map(fromRow);
    const data = table.parentElement.querySelector("script[type='application/json']");
    const stored = data === null ? [] : fromData(JSON.parse(data.textContent), body.rows[0]);
    const rest = table.parentElement.querySelector(".rest");
    return { table, body, rest, entries: [...written, ...stored], listed: written, limit: written.length };
  });
  const entries = tables.flatMap((table) => table.entries);
  const byAnchor = new Map(entries.map((entry) => [entry.anchor, entry]));
  let at = null;

  function fromRow(row) {
    const { verdict, codes, legs, topic } = row.dataset;
    const anchor = row.querySelector("th a").getAttribute("href").slice(1);
    return entry(anchor, verdict, codes, legs, topic, () => row.textContent, () => row, row.id !== "");
  }

  function fromData({ texts, cells, rows }, model) {
    return rows.map((one) => {
      const [name, anchor, verdict, text, seen, codes, legs, excess, over, alone] = one;
      const said = () => [name, texts[text], verdict, ...seen.map((n) => `${cells[n][2]}${cells[n][3] ? " odd one out" : ""}`)].join(" ");
      const found = entry(anchor || `case/${name}`, verdict, codes, legs, name.split("/")[0], said, () => {
        const row = model.cloneNode(true);
        row.removeAttribute("class");
        row.removeAttribute("id");
        if (alone) row.id = found.anchor;
        Object.assign(row.dataset, { verdict, codes, legs, topic: name.split("/")[0] });
        const link = row.querySelector("th a");
        link.href = `#${found.anchor}`;
        link.textContent = name;
        row.querySelector("th p").textContent = texts[text];
        Object.assign(row.querySelector(".badge"), { className: `badge ${verdict}`, textContent: verdict });
        const places = [...row.cells].slice(2, -1);
        seen.forEach((n, index) => {
          const [tone, glyph, did, odd] = cells[n];
          const sign = element("span", "glyph", glyph);
          sign.setAttribute("aria-hidden", "true");
          places[index].className = tone;
          places[index].replaceChildren(sign, did, ...(odd ? [" ", element("em", "", "odd one out")] : []));
        });
        row.cells[row.cells.length - 1].replaceChildren(...(excess ? [element("span", over ? "excess over" : "excess", excess)] : []));
        return row;
      }, alone);
      return found;
    });
  }

  function entry(anchor, verdict, codes, legs, topic, said, make, alone) {
    let row = null;
    let text = null;
    return {
      anchor, verdict, codes: words(codes), legs: words(legs), topic: [topic], fits: true,
      section: alone ? null : document.getElementById(anchor),
      get text() { return (text ??= said().toLowerCase()); },
      get row() { return (row ??= make()); },
    };
  }

  function apply() {
    const asked = words(query.value.toLowerCase().replace(/\s+/g, " "));
    const verdicts = new Set(verdictChips.filter(pressed).map((chip) => chip.dataset.verdict));
    // Of one kind any will do, of several kinds all have to hold.
    const wanted = { codes: new Set(), legs: new Set(), topic: new Set() };
    for (const chip of otherChips.filter(pressed)) wanted[chip.dataset.by].add(chip.dataset.value);
    const has = (one, by) => wanted[by].size === 0 || one[by].some((value) => wanted[by].has(value));
    for (const one of entries) {
      one.fits = verdicts.has(one.verdict) && has(one, "codes") && has(one, "legs") && has(one, "topic")
        && asked.every((word) => one.text.includes(word));
      if (one.section && one.section.hidden === one.fits) one.section.hidden = !one.fits;
    }
    const filtered = asked.length > 0 || verdicts.size < verdictChips.length || otherChips.some(pressed);
    const count = entries.filter((one) => one.fits).length;
    if (fold && foldedAtFirst) fold.open = filtered && entries.some((one) => one.fits && one.verdict === "PASSED");
    shown.textContent = filtered ? `${count} of ${entries.length} shown` : "";
    point(null);
    tables.forEach((table) => list(table));
  }

  // The rows of the first entries that fit, and that of the one that a link led to.
  function list(table, linked = null) {
    const fitting = table.entries.filter((one) => one.fits);
    table.listed = fitting.filter((one, index) => index < table.limit || one === linked);
    table.body.replaceChildren(...table.listed.map((one) => one.row));
    if (table.rest === null) return;
    table.rest.hidden = table.listed.length === fitting.length;
    table.rest.firstElementChild.textContent = `${table.listed.length} of ${fitting.length} cases are listed`;
  }

  function more(table) {
    table.limit += N_MORE;
    list(table);
  }

  function point(one) {
    if (at) at.row.classList.remove("at");
    at = one;
    if (!one) return;
    one.row.classList.add("at");
    one.row.querySelector("th a").focus({ preventScroll: true });
    one.row.scrollIntoView({ block: "nearest" });
  }

  function move(step) {
    const open = tables.filter(({ table }) => table.offsetParent !== null);
    const visible = open.flatMap(({ listed }) => listed);
    const index = at ? visible.indexOf(at) : -1;
    const last = open.find(({ listed }) => at && listed[listed.length - 1] === at);
    if (step > 0 && last && last.rest && !last.rest.hidden) {
      more(last);
      point(last.listed[last.listed.indexOf(at) + 1]);
    } else if (visible.length) {
      point(visible[Math.max(0, Math.min(index + step, visible.length - 1))]);
    }
  }

  function anchorInAddress() {
    try {
      return decodeURIComponent(location.hash.slice(1));
    } catch {
      return location.hash.slice(1); // not of our making
    }
  }

  // What a link leads to is shown, whatever the filter says and however deep it is folded.
  function unfold() {
    const anchor = anchorInAddress();
    const one = byAnchor.get(anchor);
    if (one && !one.fits) {
      query.value = "";
      for (const chip of verdictChips) chip.setAttribute("aria-pressed", "true");
      for (const chip of otherChips) chip.setAttribute("aria-pressed", "false");
      apply();
    }
    if (one && !one.section) {
      const table = tables.find(({ entries: own }) => own.includes(one));
      if (!table.listed.includes(one)) list(table, one);
      document.querySelector("tr.linked")?.classList.remove("linked");
      one.row.classList.add("linked");
    }
    const target = document.getElementById(anchor);
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    if (one) target.querySelector(one.section ? "summary" : "a").focus({ preventScroll: true });
    target.scrollIntoView();
  }

  async function copy(button) {
    const text = button.dataset.copy;
    let copied = true;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages opened from a disk may have no clipboard of their own.
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "off-screen";
      document.body.append(area);
      area.select();
      copied = document.execCommand("copy");
      area.remove();
      button.focus({ preventScroll: true });
    }
    button.dataset.label ??= button.textContent;
    button.textContent = copied ? "Copied" : "The browser does not allow copying";
    setTimeout(() => { button.textContent = button.dataset.label; }, 1200);
  }

  // What is wider than its place can be scrolled by keyboard too; the rest is no stop on the way.
  const observer = new ResizeObserver((changes) => {
    for (const { target } of changes) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  for (const one of document.querySelectorAll(".scroll")) observer.observe(one);

  for (const chip of [...verdictChips, ...otherChips]) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(!pressed(chip)));
      apply();
    });
  }
  for (const table of tables) table.rest?.querySelector("button").addEventListener("click", () => more(table));
  query.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    const typing = target.tagName === "INPUT";
    if (key === "/" && !typing) {
      event.preventDefault();
      query.focus();
    } else if (key === "Escape" && target === query) {
      query.value = "";
      apply();
      query.blur();
    } else if (key === "Escape") {
      history.replaceState(null, "", location.pathname + location.search);
      form.scrollIntoView();
      if (at) point(at);
    } else if (key === "ArrowDown" || key === "ArrowUp") {
      // Where something else has the focus, or is read further down, arrows scroll as everywhere.
      const reading = target === document.body && form.getBoundingClientRect().bottom < 0;
      if (reading || (target !== document.body && target !== query && !target.closest("table[data-filtered]"))) return;
      event.preventDefault();
      move(key === "ArrowDown" ? 1 : -1);
    }
  });
  window.addEventListener("hashchange", unfold);
  if (entries.length > 1) form.hidden = false;
  unfold();
})();
