// Filters: of one kind any will do, of several kinds all have to hold. The counts say what a chip would show beside the others.
const form = document.getElementById("filter");
const query = document.getElementById("query");
const shown = document.getElementById("shown");
const clear = document.getElementById("clear");
const fold = document.getElementById("passed-fold");
const foldedAtFirst = fold !== null && !fold.open;
const chips = [...form.querySelectorAll("button[data-by]")];
const pressed = (chip) => chip.getAttribute("aria-pressed") === "true";
const press = (chip, on) => chip.setAttribute("aria-pressed", String(on));

function apply() {
  const asked = words(query.value.toLowerCase().replace(/\s+/g, " "));
  const wanted = Object.fromEntries(GROUPS.map((by) => [by, new Set()]));
  for (const chip of chips.filter(pressed)) wanted[chip.dataset.by].add(chip.dataset.value);
  const counts = Object.fromEntries(GROUPS.map((by) => [by, new Map()]));
  const count = (one, by) => { for (const value of one[by]) counts[by].set(value, (counts[by].get(value) ?? 0) + 1); };
  let n = 0;
  for (const one of entries) {
    const said = asked.every((word) => one.text.includes(word));
    const missed = said ? GROUPS.filter((by) => wanted[by].size > 0 && !one[by].some((value) => wanted[by].has(value))) : GROUPS;
    one.fits = missed.length === 0;
    if (one.fits) n += 1;
    if (one.fits) for (const by of GROUPS) count(one, by);
    else if (missed.length === 1) count(one, missed[0]); // would fit, but for the other chips of this kind
  }
  for (const chip of chips) {
    const number = counts[chip.dataset.by].get(chip.dataset.value) ?? 0;
    chip.lastElementChild.textContent = number;
    chip.classList.toggle("none", number === 0);
  }
  const filtered = asked.length > 0 || chips.some(pressed);
  if (fold && foldedAtFirst) fold.open = filtered && entries.some((one) => one.fits && one.verdict[0] === "PASSED");
  shown.textContent = filtered ? `${n} of ${entries.length} shown` : "";
  clear.hidden = !filtered;
  point(null);
  tables.forEach((table) => list(table));
  return show();
}

// The filter is in the address, so that what is seen can be linked to and survives reload.
function remember() {
  const chosen = new URLSearchParams(chips.filter(pressed).map((chip) => [chip.dataset.by, chip.dataset.value]));
  if (query.value.trim()) chosen.append("text", query.value.trim());
  const text = chosen.toString();
  try {
    history.replaceState(null, "", location.pathname + location.search + (text ? `#?${text}` : ""));
  } catch {
    // A page inside another, as in a notebook, has no address of its own.
  }
}

function recall(text) {
  const chosen = new URLSearchParams(text);
  query.value = chosen.get("text") ?? "";
  for (const chip of chips) press(chip, chosen.getAll(chip.dataset.by).includes(chip.dataset.value));
  return apply();
}

function change() {
  sectionLimit = N_SECTIONS;
  for (const one of entries) one.opened = false;
  remember();
  return apply();
}

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
