// A filter above the index of causes: rows whose cause, versions or cases contain every word stay.
document$.subscribe(() => {
  const table = document.querySelector("article table");
  if (!table || !location.pathname.includes("what-differs") || document.getElementById("filter-causes")) return;
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));
  const label = Object.assign(document.createElement("label"), { htmlFor: "filter-causes", textContent: "Filter the causes" });
  const input = Object.assign(document.createElement("input"), {
    id: "filter-causes", type: "search", placeholder: "loss, metric, layer, operation, backend, kind, such as: torch one_hot dtype",
  });
  const count = Object.assign(document.createElement("output"), { htmlFor: "filter-causes" });
  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { row, text } of rows) row.hidden = !words.every((word) => text.includes(word));
    const n = rows.filter(({ row }) => !row.hidden).length;
    count.textContent = n ? `${n} of ${rows.length} causes` : "No cause contains all these words.";
  };
  input.addEventListener("input", filter);
  const box = Object.assign(document.createElement("p"), { className: "filter-causes" });
  box.append(label, input, count);
  (table.closest(".md-typeset__scrollwrap") ?? table).before(box);
  filter();
});
