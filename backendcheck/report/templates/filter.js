"use strict";
(() => {
  const form = document.getElementById("filter");
  const query = document.getElementById("query");
  const shown = document.getElementById("shown");
  const verdictChips = [...form.querySelectorAll("button[data-verdict]")];
  const otherChips = [...form.querySelectorAll("button[data-by]")];
  const rows = [...document.querySelectorAll("table[data-filtered] tbody tr")];
  const fold = document.getElementById("passed-fold");
  const foldedAtFirst = fold !== null && !fold.open;
  const pressed = (chip) => chip.getAttribute("aria-pressed") === "true";
  // Rows and sections are found by their text, worked out once; a section shows whenever its row does.
  const entries = rows.map((row) => {
    const link = row.querySelector("th a").getAttribute("href").slice(1);
    const section = document.getElementById(link);
    const { verdict, codes, legs, topic } = row.dataset;
    return {
      row, section: section === row ? null : section, text: row.textContent.toLowerCase(), verdict,
      codes: codes.split(" "), legs: legs.split(" "), topic: [topic],
    };
  });
  let at = -1;

  function apply() {
    const words = query.value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdicts = new Set(verdictChips.filter(pressed).map((chip) => chip.dataset.verdict));
    // Of one kind any will do, of several kinds all have to hold.
    const wanted = { codes: new Set(), legs: new Set(), topic: new Set() };
    for (const chip of otherChips.filter(pressed)) wanted[chip.dataset.by].add(chip.dataset.value);
    const fits = (entry, by) => wanted[by].size === 0 || entry[by].some((value) => wanted[by].has(value));
    let count = 0;
    let passed = 0;
    for (const entry of entries) {
      const visible = verdicts.has(entry.verdict) && words.every((word) => entry.text.includes(word))
        && fits(entry, "codes") && fits(entry, "legs") && fits(entry, "topic");
      entry.row.hidden = !visible;
      if (entry.section) entry.section.hidden = !visible;
      count += visible;
      passed += visible && entry.verdict === "PASSED";
    }
    const filtered = words.length > 0 || verdicts.size < verdictChips.length || otherChips.some(pressed);
    if (fold && foldedAtFirst) fold.open = filtered && passed > 0;
    shown.textContent = filtered ? `${count} of ${entries.length} shown` : "";
    move(-1);
  }

  function move(to) {
    const visible = entries.filter(({ row }) => !row.hidden && row.offsetParent !== null);
    for (const { row } of entries) row.classList.remove("at");
    at = Math.max(-1, Math.min(to, visible.length - 1));
    if (at < 0) return;
    const { row } = visible[at];
    row.classList.add("at");
    row.querySelector("th a").focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }

  function unfold() {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
    target.scrollIntoView();
  }

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Pages opened from a disk may have no clipboard of their own.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    const label = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1200);
  }

  for (const chip of [...verdictChips, ...otherChips]) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(!pressed(chip)));
      apply();
    });
  }
  query.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) copy(button);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !typing) {
      event.preventDefault();
      query.focus();
    } else if (event.key === "Escape") {
      if (event.target === query) {
        query.value = "";
        apply();
        query.blur();
      } else {
        history.replaceState(null, "", location.pathname + location.search);
        form.scrollIntoView();
        move(at);
      }
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && (!typing || event.target === query)) {
      event.preventDefault();
      move(at + (event.key === "ArrowDown" ? 1 : -1));
    }
  });
  window.addEventListener("hashchange", unfold);
  if (entries.length > 1) form.hidden = false;
  unfold();
})();
