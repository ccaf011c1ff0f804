// The bar at the bottom: the filter, what is chosen, and the data to download.
const bar = document.querySelector("body > aside.choice");
const CHIPS = 12;

function showBar() {
  if (!bar) return;
  bar.querySelector(".chosen").hidden = !chosen.size;
  bar.querySelector(".hide").setAttribute("aria-pressed", String(hiding));
  bar.querySelector(".hide").textContent = hiding ? "Show the others" : "Hide the others";
  const colours = coloursOfChosen();
  const ids = [...chosen];
  bar.querySelector(".chips").replaceChildren(...ids.slice(0, CHIPS).map((id) => {
    const chip = document.createElement("button");
    chip.type = "button";
    chip.textContent = runOf.get(id).label;
    chip.setAttribute("aria-label", `Leave out ${runOf.get(id).label}`);
    chip.style.setProperty("--own", colourIn(id) ?? colours.get(id) ?? "");
    chip.addEventListener("click", () => toggle([id]));
    return chip;
  }));
  const more = ids.length > CHIPS ? `, showing ${CHIPS}` : "";
  const of = data.of > runs.length ? ` (data of ${runs.length} of ${data.of})` : "";
  say(chosen.size ? `${chosen.size} of ${runs.length} runs chosen${more}${of}` : `${runs.length} runs${of}`);
  document.body.style.paddingBottom = `${bar.offsetHeight + 24}px`;
}

function say(text, wrong = false) {
  const output = bar.querySelector("output");
  output.textContent = text;
  output.classList.toggle("wrong", wrong);
}

// The colour that a run has in the charts, if it has one.
function colourIn(id) {
  for (const element of elementsOf.get(id) ?? []) {
    const colour = element instanceof SVGElement && runsOf.get(element).length === 1
      ? [element.getAttribute("stroke"), element.getAttribute("fill")].find((one) => /^#[0-9a-f]{6}$/i.test(one ?? "")) : null;
    if (colour && colour !== REST) return colour;
  }
  return null;
}

function filterRuns(text) {
  if (!text.trim()) return choose([]);
  try {
    const found = matchingRuns(text);
    choose(found.map((run) => run.id));
    if (!found.length) say("No run matches.", true);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    say(error.message, true);
  }
  return undefined;
}

// A cell of a spreadsheet that would be read as a formula is preceded by `'`; numbers stay numbers.
function csvCell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const isNumber = (text) => NUMBER.test(text.trim()) || /^[+-]?(inf|infinity|nan)$/i.test(text.trim());
  const text = value.replace(/((?:^|[;\t\r\n])[ \t\r\n]*)(?=([=+\-@\uff1d\uff0b\uff0d\uff20][^;\t\r\n]*))/g,
    (start, before, rest) => (isNumber(rest) ? before : `${before}'`));
  return /[,"\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csvOf(some) {
  const columns = ["id", "label", "experiment", "status", "start", "seconds"].map((name) => [name, (run) => run[name]]);
  for (const table of ["params", "metrics", "tags"]) {
    const keys = new Set(some.flatMap((run) => Object.keys(run[table])));
    for (const key of keys) columns.push([`${table}.${key}`, (run) => (Object.hasOwn(run[table], key) ? run[table][key] : null)]);
  }
  const rows = [columns.map(([name]) => csvCell(name)), ...some.map((run) => columns.map(([, of]) => csvCell(of(run))))];
  return rows.map((row) => row.join(",")).join("\r\n") + "\r\n";
}

// The chosen runs, or all of them; made in the browser, so that nothing is requested.
function download(format) {
  const some = chosen.size ? runs.filter((run) => chosen.has(run.id)) : runs;
  const text = format === "csv" ? csvOf(some) : JSON.stringify({ runs: some }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: format === "csv" ? "text/csv" : "application/json" }));
  link.download = `runs.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function startBar() {
  if (!bar) return;
  bar.hidden = false;
  let waiting;
  const input = bar.querySelector("input");
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => filterRuns(input.value), runs.length > 300 ? 150 : 0);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") filterRuns(input.value);
  });
  bar.querySelector(".hide").addEventListener("click", () => hideOthers(!hiding));
  bar.querySelector(".clear").addEventListener("click", () => {
    input.value = "";
    choose([]);
  });
  for (const button of bar.querySelectorAll("[data-format]")) {
    button.addEventListener("click", () => download(button.dataset.format));
  }
  showBar();
}
