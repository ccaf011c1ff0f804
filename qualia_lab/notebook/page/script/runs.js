// The runs as data, and which elements of the page stand for which of them.
const main = document.querySelector("body > main");
const data = readData();
const runs = data.runs;
const runOf = new Map(runs.map((run) => [run.id, run]));
const labelled = uniqueMap(runs.map((run) => [run.label, [run.id]]));
const configured = uniqueMap(data.configurations.map((one) => [one.name, one.runs]));
const runsOf = new Map(); // element → run ids
const elementsOf = new Map(); // run id → elements

function readData() {
  const script = document.querySelector("body > script[type='application/json']");
  return script ? JSON.parse(script.textContent) : { runs: [], configurations: [], of: 0, objectives: [], leading: [] };
}

function uniqueMap(pairs) {
  const map = new Map();
  const twice = new Set();
  for (const [key, value] of pairs) map.has(key) ? twice.add(key) : map.set(key, value);
  twice.forEach((key) => map.delete(key));
  return map;
}

function standsFor(element, ids) {
  const known = ids.filter((id) => runOf.has(id));
  if (!known.length) return;
  runsOf.set(element, known);
  for (const id of known) elementsOf.has(id) ? elementsOf.get(id).push(element) : elementsOf.set(id, [element]);
}

// Marks and legend entries say their runs; rows of tables are recognized by label, configuration or run id.
function indexElements() {
  for (const element of main.querySelectorAll("[data-runs]")) {
    const ids = element.dataset.runs.split(" ");
    // An entry of a legend such as `mean` stands for all runs, so that it chooses none.
    if (element.matches(".entry") && !isOneConfiguration(ids)) element.removeAttribute("data-runs");
    else standsFor(element, ids);
  }
  for (const table of main.querySelectorAll("table")) {
    const headers = [...(table.tHead?.rows[0]?.cells ?? [])].map((cell) => cell.textContent.trim());
    const factors = data.configurations.filter((one) => Object.keys(one.params).length
      && Object.keys(one.params).every((key) => headers.includes(key)));
    for (const body of table.tBodies) {
      for (const row of body.rows) {
        const ids = runsOfRow(row) ?? runsOfSettings(row, headers, factors);
        if (!ids) continue;
        standsFor(row, ids);
        row.dataset.runs = ids.join(" ");
      }
    }
  }
}

function isOneConfiguration(ids) {
  return ids.length === 1 || data.configurations.some((one) => ids.every((id) => one.runs.includes(id)));
}

function runsOfRow(row) {
  const first = row.cells[0];
  if (first?.tagName === "TH" && !first.classList.contains("place")) {
    const name = first.textContent.trim();
    const ids = labelled.get(name) ?? configured.get(name);
    if (ids) return ids;
  }
  if (row.parentElement.rows.length < 2) return null;
  for (const cell of row.cells) {
    const id = cell.textContent.trim();
    if (runOf.has(id)) return [id];
  }
  return null;
}

function runsOfSettings(row, headers, configurations) {
  const value = (key) => row.cells[headers.indexOf(key)]?.textContent.trim().replace(/^–$/, "") ?? "";
  const same = configurations.filter((one) => Object.keys(one.params).every((key) => value(key) === one.params[key]));
  return same.length === 1 ? same[0].runs : null;
}
