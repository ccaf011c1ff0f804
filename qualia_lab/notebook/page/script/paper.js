// Print: tables that are too wide for a page in parts, each with the first column, and of long ones the rows that matter.
const WHOLE_UP_TO = 60; // rows
const ROWS_ON_PAPER = 40;
const OF_EACH_KIND = 20; // of these: rows of leading runs, and of failed ones
const LINES_OF_CODE = 40; // of the beginning and of the end
const WIDE = 125; // characters beside each other, in text of 6.8pt
const PART = 115; // of a part of a wider table

function startPaper() {
  addEventListener("beforeprint", () => {
    const changed = [...putChartsFirst(), ...shortenRuns(), ...shortenCode(), ...[...widthsOf.keys()].flatMap(printTable)];
    addEventListener("afterprint", () => changed.forEach((undo) => undo()), { once: true });
  });
}

// All of it is undone after printing.
function hideOnPaper(element) {
  element.classList.add("off-paper");
  return () => element.classList.remove("off-paper");
}

function addOnPaper(element, before) {
  element.classList.add("on-paper");
  before.before(element);
  return () => element.remove();
}

function noteOnPaper(text, before) {
  const note = document.createElement("p");
  note.textContent = text;
  return addOnPaper(note, before);
}

// Which of many elements of runs are printed, and a sentence about it; null if all are.
function chooseForPaper(elements, what) {
  if (elements.length <= WHOLE_UP_TO) return null;
  const ranks = new Map(data.leading.map((id, place) => [id, place]));
  const rank = (element) => Math.min(...(runsOf.get(element) ?? []).map((id) => ranks.get(id) ?? Infinity));
  const leading = elements.filter((one) => rank(one) < Infinity).sort((a, b) => rank(a) - rank(b)).slice(0, OF_EACH_KIND);
  const failed = elements.filter((one) => runsOf.get(one)?.every((id) => ["FAILED", "KILLED"].includes(runOf.get(id).status)));
  const kept = new Set([...leading, ...failed.slice(0, OF_EACH_KIND)]);
  const special = kept.size;
  for (const element of elements) if (kept.size < ROWS_ON_PAPER) kept.add(element);
  const count = (number) => number.toLocaleString("en");
  const parts = [
    leading.length && `${leading.length} of leading runs`,
    failed.length > OF_EACH_KIND
      ? `${OF_EACH_KIND} of the ${count(failed.length)} of failed or killed runs`
      : failed.length && `${failed.length} of failed or killed runs`,
    kept.size > special && `the first ${kept.size - special}${special ? " others" : ""}`,
  ].filter(Boolean);
  return {
    kept,
    note: `On paper: ${kept.size} of ${count(elements.length)} ${what}: ${parts.join(", ")}. The page (HTML) has all.`,
  };
}

function printTable(table) {
  const body = table.tBodies[0];
  const widths = widthsOf.get(table);
  if (!body || !table.closest(".box")) return [];
  const hiding = Boolean(table.closest(".hiding"));
  const rows = [...body.rows].filter((row) => !hiding || !row.dataset.runs || row.classList.contains("on"));
  const chosen = chooseForPaper(rows, "rows");
  const undo = chosen ? rows.filter((row) => !chosen.kept.has(row)).map(hideOnPaper) : [];
  if (chosen) undo.push(noteOnPaper(chosen.note, table));
  const parts = partsOf(widths);
  // Without a name at its beginning, a row of a part would not say what it is of.
  if (parts.length < 2 || !headersOf(table).length || body.rows[0]?.cells[0]?.tagName !== "TH") return undo;
  const printed = [table.tHead.rows[0], ...rows.filter((row) => !chosen || chosen.kept.has(row))];
  for (const places of parts) undo.push(addOnPaper(columnsOf(table, printed, places), table));
  return [...undo, hideOnPaper(table)];
}

// The places of the columns of each part, with the first column; one part if the table is not too wide.
function partsOf(widths) {
  const total = widths.reduce((sum, one) => sum + one.needed, 0);
  if (total <= WIDE) return [];
  const first = widths[0].needed;
  const count = Math.ceil((total - first) / (PART - first));
  const parts = [];
  let sum = 0;
  widths.slice(1).forEach((one, index) => {
    if (!parts.length || (sum + one.needed / 2 > ((total - first) * parts.length) / count)) parts.push([0]);
    parts.at(-1).push(index + 1);
    sum += one.needed;
  });
  return parts;
}

function columnsOf(table, rows, places) {
  const part = document.createElement("table");
  part.className = table.className;
  const caption = part.createCaption();
  const own = table.caption ? `${table.caption.textContent}; ` : "";
  caption.textContent = `${own}columns ${places[1]} to ${places.at(-1)} of ${rows[0].cells.length - 1}`;
  const head = part.createTHead();
  const body = part.createTBody();
  const names = rows.slice(1).map((row) => textOfCell(row.cells[0]));
  const alike = new Set(names).size < names.length; // then numbers say which rows of the parts belong together
  rows.forEach((row, index) => {
    const copy = (index ? body : head).appendChild(Object.assign(document.createElement("tr"), { className: row.className }));
    copy.append(...places.map((place) => row.cells[place]?.cloneNode(true)).filter(Boolean));
    if (alike && index) copy.cells[0].prepend(`${index}. `);
  });
  tellWidths(part, places.map((place) => widthsOf.get(table)[place]));
  return part;
}

// Of findings, where the text flows beside them.
function putChartsFirst() {
  return [...main.querySelectorAll(".finding > figure.chart")].map((figure) => {
    const finding = figure.parentElement;
    const next = figure.nextSibling;
    finding.prepend(figure);
    return () => finding.insertBefore(figure, next);
  });
}

// Each run is a line, also on paper.
function shortenRuns() {
  const lines = [...main.querySelectorAll(".cell.run[data-runs]")];
  const chosen = chooseForPaper(lines, "runs");
  if (!chosen) return [];
  return [...lines.filter((line) => !chosen.kept.has(line)).map(hideOnPaper), noteOnPaper(chosen.note, lines[0])];
}

// The ids of a thousand runs are a thousand lines.
function shortenCode() {
  return [...main.querySelectorAll(".made .highlight pre")].flatMap((code) => {
    const lines = code.textContent.trimEnd().split("\n");
    const out = lines.length - 2 * LINES_OF_CODE;
    if (out <= LINES_OF_CODE) return [];
    const said = `# On paper without ${out.toLocaleString("en")} of ${lines.length.toLocaleString("en")} lines, which the page (HTML) has`;
    const ends = document.createElement("pre");
    ends.textContent = [...lines.slice(0, LINES_OF_CODE), said, ...lines.slice(-LINES_OF_CODE)].join("\n");
    return [hideOnPaper(code), addOnPaper(ends, code)];
  });
}
