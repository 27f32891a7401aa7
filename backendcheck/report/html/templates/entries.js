// Every case is an entry: a row, built when it is first needed if it came as data, and a section, unpacked on demand.
const N_MORE = 500; // rows added at a time
const GROUPS = ["verdict", "change", "codes", "legs", "topic"];
const words = (text) => text.split(" ").filter(Boolean);
const element = (name, className, text) => Object.assign(document.createElement(name), { className, textContent: text });

const tables = [...document.querySelectorAll("table[data-filtered]")].map((table) => {
  const body = table.tBodies[0];
  const written = [...body.rows].map(fromRow);
  const data = table.parentElement.querySelector("script[type='application/json']");
  const stored = data === null ? [] : fromData(JSON.parse(data.textContent), body.rows[0]);
  const rest = table.parentElement.querySelector(".rest");
  return { table, body, rest, entries: [...written, ...stored], listed: written, limit: written.length };
});
const entries = tables.flatMap((table) => table.entries);
entries.forEach((item, index) => { item.index = index; });
const byAnchor = new Map(entries.map((item) => [item.anchor, item]));

function fromRow(row) {
  const { verdict, codes, legs, topic, change } = row.dataset;
  const anchor = row.querySelector("th a").getAttribute("href").slice(1);
  return entry(anchor, { verdict, codes, legs, topic, change }, () => row.textContent, () => row);
}

function fromData({ texts, cells, rows }, model) {
  return rows.map(([name, anchor, verdict, text, outcomes, codes, legs, change, excess, over]) => {
    const topic = name.split("/")[0];
    const content = () => [name, texts[text], verdict, ...outcomes.map((n) => `${cells[n][2]}${cells[n][3] ? " odd one out" : ""}`)].join(" ");
    const item = entry(anchor || `case/${name}`, { verdict, codes, legs, topic, change }, content, () => {
      const row = model.cloneNode(true);
      row.removeAttribute("class");
      Object.assign(row.dataset, { verdict, codes, legs, topic, change });
      const link = row.querySelector("th a");
      link.href = `#${item.anchor}`;
      link.textContent = name;
      row.querySelector("th p").textContent = texts[text];
      Object.assign(row.querySelector(".badge"), { className: `badge ${verdict}`, textContent: verdict });
      const places = [...row.cells].slice(2, -1);
      outcomes.forEach((n, index) => {
        const [tone, glyph, outcome, odd] = cells[n];
        const sign = element("span", "glyph", glyph);
        sign.setAttribute("aria-hidden", "true");
        places[index].className = tone;
        places[index].replaceChildren(sign, outcome, ...(odd ? [" ", element("em", "", "odd one out")] : []));
      });
      row.cells[row.cells.length - 1].replaceChildren(...(excess ? [element("span", over ? "excess over" : "excess", excess)] : []));
      return row;
    });
    return item;
  });
}

function entry(anchor, { verdict, codes, legs, topic, change }, content, make) {
  let row = null;
  let text = null;
  return {
    anchor, fits: true, opened: false, section: null, index: 0,
    verdict: [verdict], change: words(change), codes: words(codes), legs: words(legs), topic: [topic],
    get text() { return (text ??= `${content()} ${codes}`.toLowerCase()); },
    get row() { return (row ??= make()); },
  };
}

// Show the rows of the first entries that fit.
function list(table) {
  const fitting = table.entries.filter((item) => item.fits);
  table.listed = fitting.slice(0, table.limit);
  table.body.replaceChildren(...table.listed.map((item) => item.row));
  table.table.parentElement.hidden = fitting.length === 0;
  if (table.rest === null) return;
  table.rest.hidden = table.listed.length === fitting.length;
  table.rest.firstElementChild.textContent = `${table.listed.length} of ${fitting.length} cases are listed`;
}

function more(table) {
  table.limit += N_MORE;
  list(table);
}

for (const table of tables) table.rest?.querySelector("button").addEventListener("click", () => more(table));
