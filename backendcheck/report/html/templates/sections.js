// Cases in detail: the first ones are HTML in the page, the browser unpacks the others some at a time.
const N_SECTIONS = 8; // sections shown at first
const inDetail = document.getElementById("in-detail");
const sections = document.getElementById("sections");
const moreSections = document.getElementById("more-sections");
const nWritten = Number(sections.dataset.written);
const nTogether = Number(sections.dataset.together);
const packs = [...document.querySelectorAll("script.pack")];
const unpacked = new Map();
let sectionLimit = N_SECTIONS;
let turn = 0;

// Content that is wider than its container gets a tab stop, so that the keyboard can scroll it.
const observer = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
// The place of a case leads to its source at the recorded commit, if a service shows that.
const source = document.querySelector("[data-source]")?.dataset.source;
function prepare(node) {
  for (const child of node.querySelectorAll(".scroll")) observer.observe(child);
  for (const place of source ? node.querySelectorAll("code[data-file]") : []) {
    const { file, line } = place.dataset;
    if (file.startsWith("/") || file.includes("\\") || file.split("/").includes("..")) continue; // not in this repository
    const link = element("a", "", place.textContent);
    link.href = `${source}/${file.split("/").map(encodeURIComponent).join("/")}#L${line}`;
    link.rel = "noopener noreferrer";
    place.replaceChildren(link);
  }
}
prepare(document);
[...sections.children].forEach((section, index) => { entries[index].section = section; });

async function inflate(script) {
  const bytes = Uint8Array.from(atob(script.textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

// The HTML was escaped when the page was made, and the policy of the page allows no other script.
const nodeOf = (html) => document.adoptNode(new DOMParser().parseFromString(html, "text/html").body.firstElementChild);

function unpack(number) {
  if (!unpacked.has(number)) unpacked.set(number, inflate(packs[number]).then((text) => text.split("\x1e")));
  return unpacked.get(number);
}

async function sectionOf(item) {
  if (item.section) return item.section;
  const at = item.index - nWritten;
  let section;
  try {
    section = nodeOf((await unpack(Math.floor(at / nTogether)))[at % nTogether]);
  } catch (error) {
    section = element("p", "nothing", `${item.anchor.slice(5)}: this browser cannot unpack the case (${error}). See report.json.`);
    section.id = item.anchor;
  }
  if (item.section === null) {
    item.section = section;
    prepare(section);
  }
  return item.section;
}

// Show the sections of the first entries that fit; those that passed only after a link. Sections in the page are not moved.
async function show() {
  const thisTurn = ++turn;
  const fitting = entries.filter((item) => item.fits && (item.opened || item.verdict[0] !== "PASSED"));
  const visible = fitting.filter((item, index) => item.opened || index < sectionLimit);
  const ready = await Promise.all(visible.map(sectionOf));
  if (thisTurn !== turn) return;
  const shown = new Set(ready);
  let next = sections.firstElementChild;
  for (const section of ready) {
    while (next && !shown.has(next)) {
      next.hidden = true;
      next = next.nextElementSibling;
    }
    section.hidden = false;
    if (section === next) next = next.nextElementSibling;
    else sections.insertBefore(section, next);
  }
  for (; next; next = next.nextElementSibling) next.hidden = true;
  inDetail.hidden = fitting.length === 0;
  moreSections.hidden = fitting.length === 0;
  moreSections.firstElementChild.textContent = `${ready.length} of ${fitting.length} ${fitting.length === 1 ? "case is" : "cases are"} shown in detail`;
  moreSections.querySelector("button").hidden = ready.length === fitting.length;
}

document.addEventListener("toggle", async ({ target }) => {
  const script = target.open && target.matches("details.packed") ? target.querySelector("script") : null;
  if (!script) return;
  const text = await inflate(script);
  if (!script.isConnected) return;
  script.replaceWith(nodeOf(text));
  prepare(target);
}, true);
moreSections.querySelector("button").addEventListener("click", () => {
  sectionLimit += 3 * N_SECTIONS;
  show();
});
document.getElementById("open-all").addEventListener("click", () => {
  for (const section of sections.children) if (!section.hidden) section.open = true;
});
