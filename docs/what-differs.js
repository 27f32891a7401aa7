// A filter above the index of causes: rows that have every chosen value, and contain every word, stay.
document$.subscribe(() => {
  const table = document.querySelector("article table");
  if (!table || !location.pathname.includes("what-differs") || document.getElementById("filter-causes")) return;
  const titles = {
    kind: "Kind", backend: "Backend", keras: "Keras", loss: "Loss", metric: "Metric", layer: "Layer", operation: "Operation",
  };
  const rows = [...table.tBodies[0].rows].map((row) => {
    const data = row.querySelector("span[data-kind]").dataset;
    const values = Object.fromEntries(Object.keys(titles).map((facet) => [facet, data[facet].split(" ").filter(Boolean)]));
    return { row, text: row.textContent.toLowerCase(), values };
  });
  const box = Object.assign(document.createElement("div"), { className: "filter-causes" });
  const labeled = (text, control, id) => {
    control.id = id;
    const label = Object.assign(document.createElement("label"), { htmlFor: id, textContent: text });
    const pair = document.createElement("span");
    pair.append(label, control);
    box.append(pair);
    return control;
  };
  const input = labeled("Words", Object.assign(document.createElement("input"), { type: "search" }), "filter-causes");
  const asked = new URLSearchParams(location.search);
  const selects = Object.entries(titles).map(([facet, title]) => {
    const select = labeled(title, document.createElement("select"), `filter-${facet}`);
    const order = (a, b) => a.localeCompare(b, "en", { numeric: true });
    const all = [...new Set(rows.flatMap(({ values }) => values[facet]))].sort(order);
    select.add(new Option("any", ""));
    for (const value of all) select.add(new Option(value.replaceAll("_", facet === "kind" ? " " : "_"), value));
    if (all.includes(asked.get(facet))) select.value = asked.get(facet);
    return [facet, select];
  });
  input.value = asked.get("words") ?? "";
  const count = Object.assign(document.createElement("output"), { htmlFor: "filter-causes" });
  box.append(count);
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = selects.filter(([, select]) => select.value);
    for (const { row, text, values } of rows) {
      row.hidden = !words.every((word) => text.includes(word)) || !chosen.every(([facet, { value }]) => values[facet].includes(value));
    }
    const n = rows.filter(({ row }) => !row.hidden).length;
    count.textContent = n ? `${n} of ${rows.length} causes` : "No cause has all of this.";
    const address = new URL(location.href);
    address.search = new URLSearchParams([...(input.value ? [["words", input.value]] : []), ...chosen.map(([f, s]) => [f, s.value])]);
    history.replaceState(history.state, "", address);
  };
  for (const control of [input, ...selects.map(([, select]) => select)]) control.addEventListener("input", filter);
  (table.closest(".md-typeset__scrollwrap") ?? table).before(box);
  filter();
});
