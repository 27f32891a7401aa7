"use strict";
(() => {
  const form = document.getElementById("filter");
  const query = document.getElementById("query");
  const shown = document.getElementById("shown");
  const chips = [...form.querySelectorAll("button[data-verdict]")];
  const rows = [...document.querySelectorAll("table[data-filtered] tbody tr")];
  const fold = document.getElementById("passed-fold");
  const foldedAtFirst = fold !== null && !fold.open;
  // Rows and sections are found by their text, worked out once; a section shows whenever its row does.
  const entries = rows.map((row) => {
    const link = row.querySelector("th a").getAttribute("href").slice(1);
    const section = document.getElementById(link);
    return { row, section: section === row ? null : section, text: row.textContent.toLowerCase(), verdict: row.dataset.verdict };
  });

  function apply() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = new Set(chips.filter((chip) => chip.getAttribute("aria-pressed") === "true").map((chip) => chip.dataset.verdict));
    let count = 0;
    let passed = 0;
    for (const { row, section, text, verdict } of entries) {
      const visible = verdicts.has(verdict) && words.every((word) => text.includes(word));
      row.hidden = !visible;
      if (section) section.hidden = !visible;
      count += visible;
      passed += visible && verdict === "PASSED";
    }
    const filtered = words.length > 0 || verdicts.size < chips.length;
    if (fold && foldedAtFirst) fold.open = filtered && passed > 0;
    shown.textContent = filtered ? `${count} of ${entries.length} shown` : "";
  }

  function unfold() {
    const id = location.hash.slice(1);
    const target = document.getElementById(id);
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  }

  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      apply();
    });
  }
  query.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey;
    if (event.key === "/" && !typing) {
      event.preventDefault();
      query.focus();
    } else if (event.key === "Escape" && event.target === query) {
      query.value = "";
      apply();
    }
  });
  window.addEventListener("hashchange", unfold);
  if (entries.length > 1) form.hidden = false;
  unfold();
})();
