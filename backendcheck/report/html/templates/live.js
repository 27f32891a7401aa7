// Only in a served page: it asks the server now and then, and reloads when the run has something new.
const PAUSE_MS = 2000;
const KEPT = "backendcheck-open";
const { version } = document.currentScript.dataset;
const state = document.querySelector(".live");
const search = document.getElementById("query");
const keyOf = (node) => (node.id ? node.id : `${node.closest(".case")?.id} ${node.dataset.part}`);
const states = () => [...document.querySelectorAll("details.case, details[data-part]")].map((node) => [keyOf(node), node]);
const atFirst = new Map(states().map(([key, node]) => [key, node.open]));

// What the reader had opened or closed stays so after a reload.
const kept = new Map(JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"));
for (const [key, node] of states()) node.open = kept.get(key) ?? node.open;
sessionStorage.removeItem(KEPT);

function say(text) {
  state.textContent = text;
  state.hidden = false;
}

function reload() {
  const turned = states().map(([key, node]) => [key, node.open]).filter(([key, open]) => open !== (atFirst.get(key) ?? false));
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
