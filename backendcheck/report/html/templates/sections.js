// Cases in detail: the first are in the page, the others are unpacked some at a time, by the browser itself.
const N_SECTIONS = 8; // that are shown at once, and more on demand
const inDetail = document.getElementById("in-detail");
const sections = document.getElementById("sections");
const moreSections = document.getElementById("more-sections");
const nWritten = Number(sections.dataset.written);
const nTogether = Number(sections.dataset.together);
const packs = [...document.querySelectorAll("script.pack")];
const unpacked = new Map();
let sectionLimit = N_SECTIONS;
let turn = 0;

// What is wider than its place can be scrolled by keyboard too; the rest is no stop on the way.
const observer = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
const observe = (node) => { for (const one of node.querySelectorAll(".scroll")) observer.observe(one); };
observe(document);
[...sections.children].forEach((section, index) => { entries[index].section = section; });

async function inflate(script) {
  const bytes = Uint8Array.from(atob(script.textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

// Escaped when the page was made, as all that is on it; and the page's policy runs no script but this one.
const nodeOf = (html) => document.adoptNode(new DOMParser().parseFromString(html, "text/html").body.firstElementChild);

function unpack(number) {
  if (!unpacked.has(number)) unpacked.set(number, inflate(packs[number]).then((text) => text.split("\x1e")));
  return unpacked.get(number);
}

async function sectionOf(one) {
  if (one.section) return one.section;
  const at = one.index - nWritten;
  let made;
  try {
    made = nodeOf((await unpack(Math.floor(at / nTogether)))[at % nTogether]);
  } catch (error) {
    made = element("p", "nothing", `${one.anchor.slice(5)}: this browser cannot unpack it (${error}). report.json has all of it.`);
    made.id = one.anchor;
  }
  if (one.section === null) {
    one.section = made;
    observe(made);
  }
  return one.section;
}

// The sections of the first entries that fit, those that passed only where they were asked for. Nothing that is there is moved.
async function show() {
  const mine = ++turn;
  const fitting = entries.filter((one) => one.fits && (one.opened || one.verdict[0] !== "PASSED"));
  const wanted = fitting.filter((one, index) => one.opened || index < sectionLimit);
  const made = await Promise.all(wanted.map(sectionOf));
  if (mine !== turn) return;
  const shown = new Set(made);
  let next = sections.firstElementChild;
  for (const one of made) {
    while (next && !shown.has(next)) {
      next.hidden = true;
      next = next.nextElementSibling;
    }
    one.hidden = false;
    if (one === next) next = next.nextElementSibling;
    else sections.insertBefore(one, next);
  }
  for (; next; next = next.nextElementSibling) next.hidden = true;
  inDetail.hidden = fitting.length === 0;
  moreSections.hidden = fitting.length === 0;
  moreSections.firstElementChild.textContent = `${made.length} of ${fitting.length} ${fitting.length === 1 ? "case is" : "cases are"} shown in detail`;
  moreSections.querySelector("button").hidden = made.length === fitting.length;
}

document.addEventListener("toggle", async ({ target }) => {
  const script = target.open && target.matches("details.packed") ? target.querySelector("script") : null;
  if (!script) return;
  const text = await inflate(script);
  if (!script.isConnected) return;
  script.replaceWith(nodeOf(text));
  observe(target);
}, true);
moreSections.querySelector("button").addEventListener("click", () => {
  sectionLimit += 3 * N_SECTIONS;
  show();
});
document.getElementById("open-all").addEventListener("click", () => {
  for (const one of sections.children) if (!one.hidden) one.open = true;
});
