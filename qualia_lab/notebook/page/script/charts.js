// Charts: what is under the pointer, the choice of a mark, and a larger view.
const tooltip = document.createElement("div");
const enlarged = document.createElement("dialog");
const ALL_VALUES = 8; // lines of a panel whose values are all shown

function labelOf(mark) {
  const ids = runsOf.get(mark);
  if (ids?.length === 1) return runOf.get(ids[0]).label;
  return mark.dataset.label ?? (ids ? `${ids.length} runs` : "");
}

function describe(panel, found) {
  const [first] = found;
  const plot = panel.querySelector(".plot");
  const x = scaleOf(plot.dataset.x);
  const y = scaleOf(plot.dataset.y);
  const said = first.mark.dataset.hover ?? "";
  if (!first.part || !x || !y) {
    const label = labelOf(first.mark);
    return said || label ? [[said.includes(label) ? "" : label, said]] : [];
  }
  const valueOf = ({ part, rect }) => valueAt(y, 1 - part[1], rect.height);
  const lines = found.filter((one) => one.part);
  const shown = lines.length <= ALL_VALUES ? [...lines].sort((a, b) => a.part[1] - b.part[1]) : [first];
  const name = x.label || panel.querySelector(".x-label")?.textContent || "x";
  const head = `${name} ${valueAt(x, first.part[0], first.rect.width)}`;
  return [[head, y.label], ...shown.map((one) => [labelOf(one.mark) || y.label, valueOf(one), one.mark, one === first])];
}

function showTooltip(panel, x, y) {
  const found = nearestPoints(panel, x, y);
  if (!found.length || found[0].distance > NEAR) return hideTooltip();
  const rows = describe(panel, found);
  if (!rows.length) return hideTooltip();
  tooltip.replaceChildren(...rows.map(([name, value, mark, nearest]) => {
    const row = document.createElement("div");
    const swatch = document.createElement("i");
    const colour = mark?.getAttribute("stroke");
    if (mark) swatch.style.background = getComputedStyle(mark).stroke || colour;
    row.append(...(mark ? [swatch] : []), `${name} `);
    const strong = document.createElement("b");
    strong.textContent = value ?? "";
    row.append(strong);
    row.classList.toggle("nearest", Boolean(nearest));
    return row;
  }));
  (panel.closest("dialog") ?? document.body).append(tooltip);
  tooltip.hidden = false;
  const { offsetWidth: width, offsetHeight: height } = tooltip;
  tooltip.style.left = `${Math.max(4, x + 16 + width > innerWidth ? x - width - 12 : x + 16)}px`;
  tooltip.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - height - 4))}px`;
  return undefined;
}

function hideTooltip() {
  tooltip.hidden = true;
}

// A thin line is hard to hit: a click chooses the nearest mark that stands for a run.
function chooseNearest(event) {
  const panel = event.target.closest(".panel");
  if (!panel || event.target.closest("[data-runs]") || event.target.closest("button, a")) return;
  const found = nearestPoints(panel, event.clientX, event.clientY).find((one) => runsOf.has(one.mark));
  if (found && found.distance <= 12) toggle(runsOf.get(found.mark));
}

function enlarge(chart) {
  const place = document.createComment("");
  const button = chart.querySelector(".enlarge");
  chart.before(place);
  enlarged.replaceChildren(chart);
  enlarged.addEventListener("close", () => {
    hideTooltip();
    document.body.append(tooltip);
    place.replaceWith(chart);
    button.focus();
  }, { once: true });
  enlarged.setAttribute("aria-label", chart.dataset.title || "Chart");
  enlarged.showModal();
}

function startCharts() {
  const charts = main.querySelectorAll("figure.chart");
  if (!charts.length) return;
  tooltip.className = "tooltip";
  tooltip.hidden = true;
  enlarged.className = "enlarged";
  document.body.append(tooltip, enlarged);
  for (const chart of charts) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "⤢";
    button.setAttribute("aria-label", `Enlarge the chart ${chart.dataset.title ?? ""}`);
    button.addEventListener("click", () => (enlarged.open ? enlarged.close() : enlarge(chart)));
    chart.prepend(button);
    chart.addEventListener("click", chooseNearest);
    // The browser's own tooltip would appear over ours.
    for (const title of chart.querySelectorAll(".panel title")) {
      title.parentElement.dataset.hover = title.textContent;
      title.remove();
    }
  }
  enlarged.addEventListener("click", (event) => {
    if (event.target === enlarged) enlarged.close();
    else chooseOnClick(event);
  });
  // A panel that is too wide for the screen scrolls, also by the keyboard.
  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });
  main.querySelectorAll(".panel").forEach((panel) => sizes.observe(panel));
  let frame = 0;
  document.addEventListener("pointermove", (event) => {
    cancelAnimationFrame(frame);
    const panel = event.target.closest?.(".panel");
    frame = panel ? requestAnimationFrame(() => showTooltip(panel, event.clientX, event.clientY)) : (hideTooltip(), 0);
  }, { passive: true });
  document.addEventListener("scroll", hideTooltip, { passive: true });
}
