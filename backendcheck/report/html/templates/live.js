// Only in a served page: it asks the server now and then, and reloads when the run has something new.
const PAUSE_MS = 2000;
const KEPT = "backendcheck-open";
const { version } = document.currentScript.dataset;
const state = document.querySelector(".live");
const search = document.getElementById("query");
const atFirst = new Map([...document.querySelectorAll("details.case")].map((node) => [node.id, node.open]));

// What the reader had opened or closed stays so after a reload.
for (const [id, open] of JSON.parse(sessionStorage.getItem(KEPT) ?? "[]")) {
  const node = document.getElementById(id);
  if (node) node.open = open;
}
sessionStorage.removeItem(KEPT);

function say(text) {
  state.textContent = text;
  state.hidden = false;
}

function reload() {
  const cases = [...document.querySelectorAll("details.case")].map((node) => [node.id, node.open]);
  const turned = cases.filter(([id, open]) => open !== (atFirst.get(id) ?? false));
  sessionStorage.setItem(KEPT, JSON.stringify(turned));
  location.reload();
}

async function ask() {
  try {
    const answer = await fetch(location.pathname, { method: "HEAD", cache: "no-store" });
    const isReading = document.hidden || document.activeElement === search || !getSelection().isCollapsed;
    if (answer.ok && answer.headers.get("etag") !== `"${version}"` && !isReading) {
      reload();
      return;
    }
    setTimeout(ask, PAUSE_MS);
  } catch {
    say("The server has ended. This is the last page that it sent.");
  }
}

setTimeout(ask, PAUSE_MS);
