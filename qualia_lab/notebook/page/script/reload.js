// A page of a watch opens itself again by a timer, and the reader's place, choice, folds, filter and order stay.
const RELOAD_SECONDS = Number(document.querySelector("meta[name=reload]").content); // 0: the watch has ended
const BUSY_SECONDS = 10; // since the last key or movement of a finger or the pointer in what would be lost
const opened = Date.now();
let lastInput = 0;

// The same element in the next version of the page: its section, what it says, and its number among those.
function keysOf(elements, words) {
  const counts = new Map();
  return [...elements].map((element) => {
    const place = element.closest(".cell.run")?.dataset.runs ?? element.closest("section[id]")?.id ?? "";
    const key = `${place}|${words(element)}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return [`${key}|${counts.get(key)}`, element];
  });
}

const folds = () => keysOf(document.querySelectorAll("body > :is(main, aside) details"),
  (fold) => fold.querySelector("summary")?.textContent.trim() ?? "");
const orders = () => keysOf(main.querySelectorAll(".box table"), (table) => headersOf(table).map(textOfCell).join());
const sliders = () => keysOf(main.querySelectorAll("label.steps input"), () => "");
const curves = () => keysOf([...main.querySelectorAll("figure.chart")].flatMap(firstPlots),
  (plot) => `${plot.closest("figure").dataset.title ?? ""}|${scaleOf(wholeAxis(plot)).label}`);
const boxes = () => keysOf(document.querySelectorAll("main .box, main .panel, main pre"), (box) => box.className);

// The section at the top of the window and how far it is above it, so that new lines before it do not move the text.
function placeOfReader() {
  const passed = [...main.querySelectorAll("section[id]")].filter((one) => one.getBoundingClientRect().top <= 0);
  const section = passed.at(-1);
  return section ? { id: section.id, above: section.getBoundingClientRect().top } : { id: "", above: -scrollY };
}

function stateOfReader() {
  const input = bar?.querySelector("input");
  const text = input?.value ?? "";
  const sorted = orders().map(([key, table]) => {
    const header = headersOf(table).find((cell) => cell.hasAttribute("aria-sort"));
    return header ? [key, textOfCell(header), header.getAttribute("aria-sort")] : null;
  });
  return {
    chosen: [...chosen],
    hiding,
    text,
    isFound: Boolean(text.trim()) && isWhatIsFound(text),
    folds: folds().map(([key, fold]) => [key, fold.open]),
    sorted: sorted.filter(Boolean),
    steps: sliders().filter(([, slider]) => slider.value !== slider.max).map(([key, slider]) => [key, stepOf(slider)]),
    ranges: curves().filter(([, plot]) => ranges.has(plot)).map(([key, plot]) => {
      return [key, ranges.get(plot).map((part) => valueOfPart(scaleOf(wholeAxis(plot)), part))];
    }),
    boxes: boxes().filter(([, box]) => box.scrollLeft || box.scrollTop)
      .map(([key, box]) => [key, box.scrollLeft, box.scrollTop]),
    place: placeOfReader(),
    isTyping: Boolean(input) && document.activeElement === input,
  };
}

// Whether the choice is what the filter finds, so that it is to be found again among new runs.
function isWhatIsFound(text) {
  try {
    const found = matchingRuns(text);
    return found.length === chosen.size && found.every((run) => chosen.has(run.id));
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return false;
  }
}

const stepOf = (slider) => slider.parentElement.querySelector("output").textContent;

// There may be more steps than before; without this one, all are shown.
function showStep(slider, step) {
  for (let place = 0; place <= Number(slider.max); place += 1) {
    slider.value = String(place);
    slider.dispatchEvent(new Event("input"));
    if (stepOf(slider) === step) return;
  }
}

function restore(state) {
  const input = bar?.querySelector("input");
  if (input) input.value = state.text;
  if (state.isFound) filterRuns(state.text);
  else if (state.chosen.length) choose(state.chosen.filter((id) => runOf.has(id)));
  if (state.hiding) hideOthers(true);
  const fold = new Map(folds());
  for (const [key, open] of state.folds) if (fold.has(key)) fold.get(key).open = open;
  const table = new Map(orders());
  for (const [key, name, direction] of state.sorted) {
    const header = headersOf(table.get(key) ?? document.createElement("table")).find((cell) => textOfCell(cell) === name);
    for (let click = 0; header && click < 2 && header.getAttribute("aria-sort") !== direction; click += 1) {
      header.querySelector("button")?.click();
    }
  }
  const slider = new Map(sliders());
  for (const [key, step] of state.steps) if (slider.has(key)) showStep(slider.get(key), step);
  const curve = new Map(curves());
  for (const [key, values] of state.ranges) {
    const plot = curve.get(key);
    if (plot) zoom(plot, ...values.map((value) => partOfValue(scaleOf(wholeAxis(plot)), value)));
  }
  const box = new Map(boxes());
  for (const [key, left, top] of state.boxes) box.get(key)?.scrollTo(left, top);
  const section = state.place.id ? document.getElementById(state.place.id) : null;
  const top = section ? section.getBoundingClientRect().top + scrollY : 0;
  scrollTo({ top: top - state.place.above, behavior: "instant" });
  if (state.isTyping) input?.focus({ preventScroll: true });
}

function isBusy() {
  return Boolean(document.querySelector("dialog[open]")) || Boolean(String(getSelection()))
    || Date.now() - lastInput < Math.min(BUSY_SECONDS, RELOAD_SECONDS) * 1000;
}

function reloadWhenDue() {
  if (document.hidden || Date.now() - opened < RELOAD_SECONDS * 1000 || isBusy()) return;
  history.replaceState({ reader: stateOfReader() }, "");
  location.reload();
}

function startReload() {
  history.scrollRestoration = "manual";
  const state = history.state?.reader;
  if (state) {
    history.replaceState(null, "");
    restore(state);
  }
  if (!RELOAD_SECONDS) return;
  for (const kind of ["keydown", "pointerdown", "wheel", "touchmove"]) {
    addEventListener(kind, () => (lastInput = Date.now()), { passive: true });
  }
  setInterval(reloadWhenDue, 500);
}

startReload();
