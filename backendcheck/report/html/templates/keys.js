// Permalinks, the keyboard, copying.
let at = null; // the entry selected with arrow keys
let current = null; // the entry that a link opened

function point(item) {
  if (at) at.row.classList.remove("at");
  at = item;
  if (!item) return;
  item.row.classList.add("at");
  item.row.querySelector("th a").focus({ preventScroll: true });
  item.row.scrollIntoView({ block: "nearest" });
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

// Open the previous or next case of the list.
function turnTo(step) {
  const fitting = entries.filter((item) => item.fits);
  const next = fitting[fitting.indexOf(current) + step];
  if (next) location.hash = next.anchor;
}

function addressed() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return location.hash.slice(1); // not an address of this page
  }
}

// Show the target of a link, even if it is outside the filter, folded or packed.
async function follow() {
  const anchor = addressed();
  if (anchor.startsWith("?")) {
    current = null;
    await recall(location.hash.slice(2));
    heading.scrollIntoView();
    return;
  }
  const item = byAnchor.get(anchor) ?? null;
  if (item) {
    current = item;
    item.opened = true;
    await (item.fits ? show() : recall(""));
    if (addressed() !== anchor) return; // another link was followed meanwhile
  }
  const target = document.getElementById(anchor);
  if (!target) return;
  for (let node = target; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  if (item) target.querySelector("summary")?.focus({ preventScroll: true });
  target.scrollIntoView();
}

function back() {
  remember();
  const item = current ?? at;
  current = null;
  heading.scrollIntoView();
  if (item && tables.some(({ listed }) => listed.includes(item))) point(item);
}

async function copy(button) {
  const { copy: own, copyOf } = button.dataset;
  const text = own ?? button.closest(".case").querySelector(`[data-text="${copyOf}"]`).textContent;
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages opened from a disk may have no clipboard.
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

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy], button[data-copy-of]");
  if (button) copy(button);
  const link = event.target.closest("a[href^='#']");
  if (link && location.protocol === "about:") {
    // Inside another page, as in a notebook, a link to an anchor would leave this page.
    event.preventDefault();
    location.hash = link.getAttribute("href");
  }
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
    change();
    query.blur();
  } else if (key === "Escape") {
    back();
  } else if (key === "ArrowDown" || key === "ArrowUp") {
    // Arrows scroll if another element has the focus or the list is out of view.
    const reading = target === document.body && heading.getBoundingClientRect().bottom < 0;
    if (reading || (target !== document.body && target !== query && !target.closest("table[data-filtered]"))) return;
    event.preventDefault();
    move(key === "ArrowDown" ? 1 : -1);
  } else if ((key === "ArrowLeft" || key === "ArrowRight") && current && target.tagName === "SUMMARY") {
    event.preventDefault();
    turnTo(key === "ArrowLeft" ? -1 : 1);
  }
});
// A print shows what is folded too.
let unfolded = [];
window.addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details:not([open])")].filter((node) => node.closest("[hidden]") === null);
  for (const node of unfolded) node.open = true;
});
window.addEventListener("afterprint", () => {
  for (const node of unfolded) node.open = false;
});
window.addEventListener("hashchange", follow);
if (entries.length > 1) form.hidden = false;
measureBar(); // before a link is followed
for (const item of entries.slice(0, nWritten)) item.section.hidden = false;
show();
follow();
