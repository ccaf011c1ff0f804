// The point of a panel nearest to the pointer, in pixels of the screen, and its values by the scales of the panel.
const NEAR = 40; // pixels
const drawings = new WeakMap(); // panel → its lines and points, read at the first use

function scaleOf(text) {
  const match = /^(\S+) (\S+) (linear|log) ?(.*)$/s.exec(text ?? "");
  if (!match) return null;
  const [low, high] = [Number(match[1]), Number(match[2])];
  return { low, high, log: match[3] === "log", label: match[4] };
}

// A part of the axis (0 to 1) as a value, with the digits that a pixel resolves.
function valueAt(scale, part, pixels) {
  const { low, high, log } = scale;
  const value = log ? 10 ** (Math.log10(low) + part * (Math.log10(high) - Math.log10(low))) : low + part * (high - low);
  const resolution = log ? Math.abs(value) * Math.abs(10 ** (Math.log10(high / low) / pixels) - 1) : Math.abs(high - low) / pixels;
  return digitsFor(value, resolution);
}

function digitsFor(value, resolution) {
  if (!Number.isFinite(value)) return String(value);
  if (resolution < 1 && Math.abs(value - Math.round(value)) < resolution) return String(Math.round(value));
  const places = resolution > 0 ? Math.max(0, Math.ceil(-Math.log10(resolution))) : 3;
  if (Math.abs(value) >= 1e7 || places > 7) {
    const digits = Math.max(1, Math.ceil(Math.log10(Math.abs(value) / resolution || 1)) + 1);
    return String(Number(value.toPrecision(Math.min(digits, 15))));
  }
  return value.toFixed(places);
}

// The lines of a panel as parts of the plot (0 to 1, from its top left corner); without those that have no name.
function drawingOf(panel) {
  if (!drawings.has(panel)) {
    const named = [...panel.querySelectorAll("path.line")].filter((path) => path.dataset.runs || path.dataset.label);
    drawings.set(panel, named.map(lineOf));
  }
  return drawings.get(panel);
}

function lineOf(path) {
  const [left, top, width, height] = path.ownerSVGElement.getAttribute("viewBox").split(/[ ,]+/).map(Number);
  const points = [];
  let [x, y, fromLast] = [0, 0, false];
  for (const [, command, across, down] of path.getAttribute("d").matchAll(/([MLl]?)(-?[\d.]+) ?(-?[\d.]+)/g)) {
    if (command) fromLast = command === "l";
    x = Number(across) + (fromLast ? x : 0);
    y = Number(down) + (fromLast ? y : 0);
    points.push([(x - left) / width, (y - top) / height]);
  }
  return { path, points };
}

// Of each visible line, the point nearest in x; sorted by the distance to the pointer.
function nearestPoints(panel, x, y) {
  const found = [];
  const rect = panel.querySelector(".plot").getBoundingClientRect();
  for (const { path, points } of drawingOf(panel)) {
    if (!isShown(path) || !points.length) continue;
    const part = (x - rect.left) / rect.width;
    let best = points[0];
    for (const point of points) if (Math.abs(point[0] - part) < Math.abs(best[0] - part)) best = point;
    const distance = distanceTo(points, rect, x, y);
    found.push({ mark: path, rect, part: best, distance });
  }
  for (const mark of panel.querySelectorAll(".point, .bar, .cell, .box-plot")) {
    if (!isShown(mark)) continue;
    const box = mark.getBoundingClientRect();
    const dx = Math.max(box.left - x, 0, x - box.right);
    const dy = Math.max(box.top - y, 0, y - box.bottom);
    found.push({ mark, distance: Math.hypot(dx, dy) });
  }
  return found.sort((a, b) => a.distance - b.distance);
}

const isShown = (mark) => !hiding || !runsOf.has(mark) || mark.classList.contains("on");

function distanceTo(points, rect, x, y) {
  let least = Infinity;
  let before = null;
  for (const [px, py] of points) {
    const at = [rect.left + px * rect.width, rect.top + py * rect.height];
    least = Math.min(least, before ? toSegment(before, at, x, y) : Math.hypot(at[0] - x, at[1] - y));
    before = at;
  }
  return least;
}

function toSegment([ax, ay], [bx, by], x, y) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const along = length ? Math.min(1, Math.max(0, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length)) : 0;
  return Math.hypot(ax + along * (bx - ax) - x, ay + along * (by - ay) - y);
}
