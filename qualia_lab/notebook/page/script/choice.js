// One choice of runs for the whole page: what stands for a chosen run is marked, everything else is dimmed.
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A6FDF"];
const REST = "#C9CED6"; // runs that have no colour of their own in a chart until they are chosen
const chosen = new Set();
let hiding = false;

function choose(ids) {
  const before = new Set(chosen);
  const coloursBefore = coloursOfChosen();
  chosen.clear();
  ids.forEach((id) => chosen.add(id));
  const colours = coloursOfChosen();
  const changed = new Set();
  for (const id of [...before, ...chosen]) {
    const isChanged = before.has(id) !== chosen.has(id) || coloursBefore.get(id) !== colours.get(id);
    if (isChanged) elementsOf.get(id)?.forEach((element) => changed.add(element));
  }
  for (const element of changed) {
    const id = runsOf.get(element).find((one) => chosen.has(one));
    element.classList.toggle("on", id !== undefined);
    if (element.tagName === "TR") element.setAttribute("aria-selected", String(id !== undefined));
    else if (element.tagName === "BUTTON") element.setAttribute("aria-pressed", String(id !== undefined));
    if (isRest(element)) element.style.setProperty("--own", colours.get(id) ?? "");
    // Drawn last, a chosen mark is not covered by the others.
    if (id !== undefined && element instanceof SVGElement && chosen.size <= 20) element.parentNode.append(element);
  }
  document.documentElement.classList.toggle("choosing", chosen.size > 0);
  if (!chosen.size) hiding = false;
  show();
}

function toggle(ids) {
  const all = ids.every((id) => chosen.has(id));
  const next = new Set(chosen);
  ids.forEach((id) => (all ? next.delete(id) : next.add(id)));
  choose(next);
}

function hideOthers(hide) {
  hiding = hide && chosen.size > 0;
  show();
}

function show() {
  document.documentElement.classList.toggle("hiding", hiding);
  for (const panel of main.querySelectorAll(".panel")) {
    const marks = hiding ? [...panel.querySelectorAll("[data-runs]")] : [];
    panel.classList.toggle("empty", marks.length > 0 && !marks.some((mark) => mark.classList.contains("on")));
  }
  showBar();
}

const isRest = (element) => [element.getAttribute("stroke"), element.getAttribute("fill")].includes(REST);

// Several chosen runs that are all grey in the charts get a colour each, the same everywhere.
function coloursOfChosen() {
  return new Map([...chosen].slice(0, COLOURS.length).map((id, place) => [id, COLOURS[place]]));
}

// A click on text that is being selected, or on a link or button in a row, means something else.
function chooseOnClick(event) {
  const element = event.target.closest("[data-runs]");
  const inside = event.target.closest("a, button, input, summary, label");
  if (!element || !runsOf.has(element) || element.classList.contains("run")) return;
  if (inside && inside !== element) return;
  if (element.tagName === "TR" && String(getSelection())) return;
  toggle(runsOf.get(element));
}

function chooseOnKey(event) {
  if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) choose([]);
  const row = event.target;
  if (!(row instanceof HTMLTableRowElement) || !runsOf.has(row)) return;
  if (event.key === "Enter" || event.key === " ") toggle(runsOf.get(row));
  else if (event.key === "ArrowDown") moveTo(row, row.nextElementSibling);
  else if (event.key === "ArrowUp") moveTo(row, row.previousElementSibling);
  else return;
  event.preventDefault();
}

// One row of a table is reached by Tab, the others by the arrow keys.
function moveTo(row, next) {
  if (!next || !runsOf.has(next)) return;
  row.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function startChoice() {
  main.addEventListener("click", chooseOnClick);
  document.addEventListener("keydown", chooseOnKey);
  for (const element of runsOf.keys()) {
    if (element.tagName === "TR") {
      const first = element.parentElement.querySelector("tr[data-runs]");
      element.tabIndex = element === first ? 0 : -1;
      element.setAttribute("aria-selected", "false");
    }
    if (element.tagName === "BUTTON") element.setAttribute("aria-pressed", "false");
  }
}
