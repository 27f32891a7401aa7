// An entry fits if it matches one chip of each kind that has pressed chips. The count on a chip: what it would show, given the others.
const form = document.getElementById("filter");
const query = document.getElementById("query");
const shown = document.getElementById("shown");
const clear = document.getElementById("clear");
const heading = document.getElementById("cases");
const noMatch = document.getElementById("no-match");
const chosen = document.getElementById("chosen");
const fold = document.getElementById("passed-fold");
const foldedAtFirst = fold !== null && !fold.open;
const chips = [...form.querySelectorAll("button[data-by]")];
const pressed = (chip) => chip.getAttribute("aria-pressed") === "true";
const press = (chip, on) => chip.setAttribute("aria-pressed", String(on));

function apply() {
  const terms = words(query.value.toLowerCase().replace(/\s+/g, " "));
  const selected = Object.fromEntries(GROUPS.map((by) => [by, new Set()]));
  for (const chip of chips.filter(pressed)) selected[chip.dataset.by].add(chip.dataset.value);
  const counts = Object.fromEntries(GROUPS.map((by) => [by, new Map()]));
  const count = (item, by) => { for (const value of item[by]) counts[by].set(value, (counts[by].get(value) ?? 0) + 1); };
  let n = 0;
  for (const item of entries) {
    const matches = terms.every((word) => item.text.includes(word));
    const missed = matches ? GROUPS.filter((by) => selected[by].size > 0 && !item[by].some((value) => selected[by].has(value))) : GROUPS;
    item.fits = missed.length === 0;
    if (item.fits) n += 1;
    if (item.fits) for (const by of GROUPS) count(item, by);
    else if (missed.length === 1) count(item, missed[0]); // fits except for the pressed chips of this kind
  }
  for (const chip of chips) {
    const number = counts[chip.dataset.by].get(chip.dataset.value) ?? 0;
    chip.lastElementChild.textContent = number;
    chip.classList.toggle("none", number === 0);
  }
  const filtered = terms.length > 0 || chips.some(pressed);
  if (fold && foldedAtFirst) fold.open = filtered && entries.some((item) => item.fits && item.verdict[0] === "PASSED");
  shown.textContent = filtered ? `${n} of ${entries.length} shown` : "";
  clear.hidden = !filtered;
  noMatch.hidden = n > 0;
  chosen.textContent = chips.filter((chip) => pressed(chip) && chosen.parentElement.parentElement.contains(chip)).map((chip) => chip.dataset.value).join(", ");
  point(null);
  tables.forEach((table) => list(table));
  return show();
}

// The filter is part of the address, so that it can be linked to and survives a reload.
function remember() {
  const parameters = new URLSearchParams(chips.filter(pressed).map((chip) => [chip.dataset.by, chip.dataset.value]));
  if (query.value.trim()) parameters.append("text", query.value.trim());
  const text = parameters.toString();
  try {
    history.replaceState(null, "", location.pathname + location.search + (text ? `#?${text}` : ""));
  } catch {
    // A page inside another one, as in a notebook, has no address.
  }
}

function recall(text) {
  const parameters = new URLSearchParams(text);
  query.value = parameters.get("text") ?? "";
  for (const chip of chips) press(chip, parameters.getAll(chip.dataset.by).includes(chip.dataset.value));
  return apply();
}

function change() {
  sectionLimit = N_SECTIONS;
  for (const item of entries) item.opened = false;
  remember();
  // The first results are to be seen under the bar, wherever it was used.
  const below = innerHeight - form.getBoundingClientRect().bottom;
  if (heading.getBoundingClientRect().bottom < 0 || below < innerHeight / 3) heading.scrollIntoView();
  return apply();
}

// What the bar would cover is scrolled below it.
function measureBar() {
  const covers = getComputedStyle(form).position === "sticky";
  document.documentElement.style.setProperty("--bar", `${covers ? form.offsetHeight : 0}px`);
}

new ResizeObserver(measureBar).observe(form);
for (const chip of chips) {
  chip.addEventListener("click", () => {
    press(chip, !pressed(chip));
    change();
  });
}
for (const toggle of form.querySelectorAll("button.toggle")) {
  toggle.dataset.more = toggle.textContent;
  toggle.addEventListener("click", () => {
    const folded = toggle.parentElement.classList.toggle("folded");
    toggle.setAttribute("aria-expanded", String(!folded));
    toggle.textContent = folded ? toggle.dataset.more : "fewer";
  });
}
query.addEventListener("input", change);
clear.addEventListener("click", () => {
  recall("");
  remember();
  query.focus();
});
form.addEventListener("submit", (event) => event.preventDefault());
