// Tables: sorted by a click on a header, numbers to the right, and quiet bars behind the primary metric.
const MISSING = new Set(["", "–", "NaN", "<NA>", "None", "NaT", "nan"]);
const AMOUNT = /^[✓✗…]?\s*([+\-−]?(?:\d{1,3}(?:[,\u202f]\d{3})+|\d+)?(?:\.\d+)?(?:e[+-]?\d+)?|[+-]?inf)(?:\s*±.*|\s*(?:%|[a-zµ]{1,3}|B|kB|KB|MB|GB))?$/i;

function amount(text) {
  const match = AMOUNT.exec(text);
  if (!match || !/\d|inf/.test(match[1])) return null;
  const plain = match[1].replace(/[,\u202f]/g, "").replace("−", "-").replace(/inf$/i, "Infinity");
  return Number(plain);
}

const textOfCell = (cell) => cell?.textContent.trim() ?? "";

function isNumeric(cells) {
  const said = cells.map(textOfCell).filter((text) => !MISSING.has(text));
  return said.length > 0 && said.every((text) => amount(text) !== null);
}

function headersOf(table) {
  const rows = table.tHead?.rows ?? [];
  // pandas writes the name of the index in a second row, whose other cells are empty.
  if (rows.length > 1 && [...rows[1].cells].slice(1).some((cell) => textOfCell(cell))) return [];
  const cells = [...(rows[0]?.cells ?? [])];
  return cells.some((cell) => cell.colSpan > 1) ? [] : cells;
}

function sortBy(table, place, header, numeric) {
  const ascending = header.getAttribute("aria-sort") === "descending" || !header.hasAttribute("aria-sort");
  for (const other of headersOf(table)) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => {
    const text = textOfCell(row.cells[place]);
    return { row, key: MISSING.has(text) ? null : numeric ? amount(text) : text };
  });
  const order = new Intl.Collator(undefined, { numeric: true }).compare;
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
    const before = numeric ? a.key - b.key : order(a.key, b.key);
    return (Number.isNaN(before) ? 0 : before) * (ascending ? 1 : -1);
  });
  body.append(...keyed.map((one) => one.row));
}

function prepareTable(table) {
  const body = table.tBodies[0];
  const headers = headersOf(table);
  if (!body || !headers.length) return;
  const rows = [...body.rows];
  headers.forEach((header, place) => {
    const cells = rows.map((row) => row.cells[place]).filter(Boolean);
    const numeric = isNumeric(cells);
    if (numeric) [header, ...cells].forEach((cell) => cell.classList.add("n"));
    if (rows.length < 2) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    if (!button.textContent.trim()) button.setAttribute("aria-label", "sort by name");
    header.append(button);
    header.classList.add("sortable");
    button.addEventListener("click", () => sortBy(table, place, header, numeric));
    if (numeric && data.objectives.includes(button.textContent.trim())) drawBars(rows, cells);
  });
}

// From the lowest value of the column, whose bar is short, to the highest.
function drawBars(rows, cells) {
  if (!rows.some((row) => row.dataset.runs)) return;
  const values = cells.map((cell) => amount(textOfCell(cell))).map((value) => (Number.isFinite(value) ? value : null));
  const finite = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  if (!(high > low)) return;
  cells.forEach((cell, place) => {
    if (values[place] === null) return;
    cell.classList.add("amount");
    cell.style.setProperty("--part", `${(8 + (92 * (values[place] - low)) / (high - low)).toFixed(1)}%`);
  });
}

// The characters that the columns need so that no word in them breaks; print chooses the size of the text by them.
const LONGEST_WORD = 12; // longer ones, such as ids, break, but no mean with its interval does
const OF_SENTENCE = 20; // of a column of sentences, names or ids, whose rows would else be high
const LONG_ID = 24;
const SENTENCE = 40;
const BETWEEN_COLUMNS = 1.5;
const BOLD = 3; // characters that a mean with its interval is wider in bold
const BOLD_HEADER = 1.1; // times as wide as other text
const MOST_CHARACTERS = 188; // beside each other on A4 in text of 4.5pt
const DAY = /^(\d{4}-\d\d-\d\d)(?= |$)/;
const widthsOf = new Map(); // table → the longest word of each column, and what it takes at most

function measureWords(table) {
  const longest = [];
  const least = [];
  const most = Array(table.rows[0]?.cells.length ?? 0).fill(LONGEST_WORD);
  for (const row of table.rows) {
    [...row.cells].forEach((cell, place) => {
      if (cell.textContent.includes("±")) most[place] = Infinity;
      const words = textOfCell(cell).replace(DAY, keepDay(cell)).split(/[ \t\n/]+|(?<=[-_])/)
        .map((word) => word.length * (cell.closest("thead") ? BOLD_HEADER : 1) + (word.includes("±") ? BOLD : 0));
      longest[place] = Math.max(longest[place] ?? 1, ...words);
      if (cell.closest("thead")) return;
      const isLong = textOfCell(cell).length > (place ? SENTENCE : OF_SENTENCE) || Math.max(...words) > LONG_ID;
      if (isLong) least[place] = OF_SENTENCE;
    });
  }
  widthsOf.set(table, longest.map((length, place) =>
    ({ length, needed: Math.max(Math.min(length, most[place]), least[place] ?? 0) + BETWEEN_COLUMNS, long: place in least })));
  tellWidths(table, widthsOf.get(table));
}

// Of a table, or of a part of its columns.
function tellWidths(table, widths) {
  const needed = widths.reduce((sum, one) => sum + one.needed, 0);
  if (needed > MOST_CHARACTERS) return;
  table.style.setProperty("--characters", needed.toFixed(1));
  for (const row of table.rows) {
    [...row.cells].forEach((cell, place) => {
      cell.classList.toggle("words", widths[place].length <= widths[place].needed - BETWEEN_COLUMNS);
      cell.classList.toggle("long", widths[place].long);
    });
  }
}

// A day is one word, which browsers break after its hyphens; the text of the same length that stands for it when it is measured.
function keepDay(cell) {
  const text = cell.firstChild;
  const day = text?.nodeType === Node.TEXT_NODE && DAY.exec(text.data);
  if (!day) return "$1";
  const kept = document.createElement("span");
  kept.className = "day";
  kept.textContent = day[1];
  text.data = text.data.slice(day[1].length);
  text.before(kept);
  return "0".repeat(day[1].length);
}

// A header such as `batch_size` may break after `_`, which browsers do not do by themselves.
function breakAfterUnderscores(header) {
  const texts = document.createTreeWalker(header, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const end = texts.currentNode.data.indexOf("_") + 1;
    if (!end || end === texts.currentNode.length) continue;
    texts.currentNode.splitText(end).before(document.createElement("wbr"));
  }
}

function startTables() {
  for (const table of main.querySelectorAll(".box table")) {
    table.querySelectorAll("thead th").forEach(breakAfterUnderscores);
    measureWords(table);
    prepareTable(table);
  }
}
