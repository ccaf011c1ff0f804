// A range of x of curves: dragged with the mouse, or with the keys of a button; panels of the same x axis follow.
const ranges = new Map(); // first plot of those with one x axis → [from, to], parts of the whole axis
const wholeX = new WeakMap(); // plot → its data-x before the first zoom
const wholeMarks = new WeakMap(); // element → its place, or its viewBox, before the first zoom
const LEAST_DRAG = 8; // pixels; less is a click
const LEAST_RANGE = 0.005;
const ZOOM_KEYS = "plus and minus zoom, the arrow keys move, Escape shows all";

const wholeAxis = (plot) => wholeX.get(plot) ?? plot.dataset.x;
const sameAxis = (one, other) => wholeAxis(one).split(" ", 3).join(" ") === wholeAxis(other).split(" ", 3).join(" ");

// Plots of numbers over numbers, of which some are lines: the first one of each x axis.
function firstPlots(chart) {
  const curves = numberPlots(chart).filter((plot) => plot.querySelector(".lines"));
  return curves.filter((plot, place) => curves.findIndex((one) => sameAxis(one, plot)) === place);
}

function numberPlots(chart) {
  const plots = [...chart.querySelectorAll(".plot")];
  return plots.filter((plot) => !plot.querySelector(".names, .bar, .cell, .box-plot") && scaleOf(plot.dataset.x));
}

// The part of an axis (0 to 1) as a value, and back.
function valueOfPart({ low, high, log }, part) {
  return log ? low * (high / low) ** part : low + part * (high - low);
}

function partOfValue({ low, high, log }, value) {
  return log ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
}

function zoom(first, from, to) {
  const chart = first.closest("figure.chart");
  const width = Math.min(1, Math.max(LEAST_RANGE, to - from));
  const start = Math.min(1 - width, Math.max(0, from));
  if (width === 1) ranges.delete(first);
  else ranges.set(first, [start, start + width]);
  const isZoomed = firstPlots(chart).some((plot) => ranges.has(plot));
  chart.classList.toggle("zoomed", isZoomed);
  chart.querySelector(".zoom").setAttribute("aria-pressed", String(isZoomed));
  for (const plot of numberPlots(chart)) if (sameAxis(plot, first)) showRange(plot, start, start + width);
  hideTooltip();
}

const showWhole = (plots) => [...plots].filter((plot) => ranges.has(plot)).forEach((plot) => zoom(plot, 0, 1));

function showRange(plot, from, to) {
  if (!wholeX.has(plot)) wholeX.set(plot, plot.dataset.x);
  const axis = scaleOf(wholeX.get(plot));
  const [low, high] = [from, to].map((part) => valueOfPart(axis, part));
  const isWhole = from === 0 && to === 1;
  plot.dataset.x = isWhole ? wholeX.get(plot) : `${low} ${high} ${axis.log ? "log" : "linear"} ${axis.label}`;
  for (const lines of plot.querySelectorAll("svg.lines")) {
    if (!wholeMarks.has(lines)) wholeMarks.set(lines, lines.getAttribute("viewBox"));
    const [left, top, width, height] = wholeMarks.get(lines).split(" ").map(Number);
    lines.setAttribute("viewBox", `${left + from * width} ${top} ${(to - from) * width} ${height}`);
  }
  for (const mark of plot.querySelectorAll(".points > *, .labels > text")) {
    const name = mark.hasAttribute("cx") ? "cx" : "x";
    if (!wholeMarks.has(mark)) wholeMarks.set(mark, parseFloat(mark.getAttribute(name)) / 100);
    const part = (wholeMarks.get(mark) - from) / (to - from);
    mark.setAttribute(name, `${100 * part}%`);
    mark.classList.toggle("outside", part < 0 || part > 1);
  }
  showTicks(plot, { ...axis, low, high }, isWhole);
  drawings.delete(plot.closest(".panel"));
}

// Numbers and upright grid lines of a range; those of the whole axis are only hidden.
function showTicks(plot, axis, isWhole) {
  plot.querySelectorAll(".of-range").forEach((one) => one.remove());
  for (const one of plot.querySelectorAll(".grid line, .x-ticks text")) {
    one.classList.toggle("outside", !isWhole && one.getAttribute("x1") === one.getAttribute("x2"));
  }
  if (isWhole) return;
  const [grid, texts] = [plot.querySelector(".grid"), plot.querySelector(".x-ticks")];
  const first = texts?.querySelector("text");
  for (const [value, step] of roundNumbers(axis, plot.getBoundingClientRect().width)) {
    const x = `${100 * partOfValue(axis, value)}%`;
    if (grid) grid.append(svgElement("line", { x1: x, x2: x, y1: "0%", y2: "100%", class: "of-range" }));
    if (!first) continue;
    const text = svgElement("text", { x, y: first.getAttribute("y"), dy: first.getAttribute("dy"), class: "of-range" });
    text.textContent = digitsFor(value, step * 0.99);
    texts.append(text);
  }
}

function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// Multiples of 1, 2 or 5 times a power of ten, about one in 90 pixels, each with the step between them.
function roundNumbers({ low, high, label }, width) {
  const raw = (high - low) / Math.max(2, Math.min(7, width / 90));
  const power = 10 ** Math.floor(Math.log10(raw));
  const round = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw * 0.999);
  const step = label === "step" ? Math.max(1, round) : round;
  const found = [];
  for (let place = Math.ceil(low / step); place * step <= high && found.length < 20; place += 1) found.push([place * step, step]);
  return found;
}

function startDrag(chart, event) {
  const plot = event.target.closest(".plot");
  const first = plot && firstPlots(chart).find((one) => sameAxis(one, plot));
  if (event.button || event.pointerType === "touch" || !first) return;
  const rect = plot.getBoundingClientRect();
  const partAt = (x) => Math.min(1, Math.max(0, (x - rect.left) / rect.width));
  const shade = document.createElement("div");
  shade.className = "shade";
  const move = ({ clientX }) => {
    if (!shade.isConnected && Math.abs(clientX - event.clientX) < LEAST_DRAG) return;
    if (!shade.isConnected) (chart.closest("dialog") ?? document.body).append(shade);
    const [left, right] = [event.clientX, clientX].map(partAt).sort((a, b) => a - b);
    Object.assign(shade.style, { left: `${rect.left + left * rect.width}px`, width: `${(right - left) * rect.width}px`,
      top: `${rect.top}px`, height: `${rect.height}px` });
  };
  const end = (last) => {
    removeEventListener("pointermove", move);
    removeEventListener("pointerup", end);
    removeEventListener("pointercancel", end);
    if (!shade.isConnected) return;
    shade.remove();
    if (last.type === "pointercancel") return;
    // The click that ends a drag chooses nothing.
    const ignore = (click) => click.stopPropagation();
    addEventListener("click", ignore, { capture: true, once: true });
    setTimeout(() => removeEventListener("click", ignore, { capture: true }));
    const [from, to] = ranges.get(first) ?? [0, 1];
    const [left, right] = [event.clientX, last.clientX].map(partAt).sort((a, b) => a - b);
    zoom(first, from + left * (to - from), from + right * (to - from));
  };
  addEventListener("pointermove", move);
  addEventListener("pointerup", end);
  addEventListener("pointercancel", end);
}

function zoomByKey(first, event) {
  const [from, to] = ranges.get(first) ?? [0, 1];
  const width = to - from;
  const closer = [0.25 * width, -0.25 * width];
  const moves = { "+": closer, "=": closer, "-": [-width / 2, width / 2], ArrowLeft: [-width / 4, -width / 4], ArrowRight: [width / 4, width / 4] };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  zoom(first, from + move[0], to + move[1]);
}

// Before the choice of runs is cleared by the same key.
function showWholeOnEscape(event) {
  if (event.key !== "Escape" || !ranges.size) return;
  event.preventDefault();
  showWhole(ranges.keys());
}

function startZoom() {
  for (const chart of main.querySelectorAll("figure.chart")) {
    const [first] = firstPlots(chart);
    if (!first) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "zoom";
    button.textContent = "↔";
    button.title = `Drag in the chart to see a range of x. Here ${ZOOM_KEYS}.`;
    button.setAttribute("aria-label", `Range of x of the chart ${chart.dataset.title ?? ""}: ${ZOOM_KEYS}`);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      if (chart.classList.contains("zoomed")) showWhole(firstPlots(chart));
      else zoom(first, 0.25, 0.75);
    });
    button.addEventListener("keydown", (event) => zoomByKey(first, event));
    chart.prepend(button);
    chart.classList.add("curves");
    chart.addEventListener("pointerdown", (event) => startDrag(chart, event));
    chart.addEventListener("dblclick", () => showWhole(firstPlots(chart)));
  }
  addEventListener("keydown", showWholeOnEscape, { capture: true });
  addEventListener("beforeprint", () => showWhole(ranges.keys()));
}
