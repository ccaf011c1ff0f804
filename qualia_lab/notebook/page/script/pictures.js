// Pictures that were logged at several steps: one step of all runs at a time, chosen by a slider and its arrow keys.
function startPictures() {
  for (const table of main.querySelectorAll("table")) {
    const headers = [...(table.tHead?.rows[0]?.cells ?? [])].slice(1);
    const steps = headers.map((cell) => /^step ([\d,]+)$/.exec(cell.textContent.trim())?.[1]);
    if (steps.length < 2 || steps.some((step) => !step) || !table.querySelector("td img")) continue;
    addSlider(table, steps);
  }
}

function addSlider(table, steps) {
  const label = document.createElement("label");
  const slider = Object.assign(document.createElement("input"), { type: "range", min: "0", max: String(steps.length) });
  const said = document.createElement("output");
  label.className = "steps";
  label.append("step ", slider, said);
  table.before(label);
  slider.value = String(steps.length);
  const show = () => {
    const place = Number(slider.value);
    said.textContent = place === steps.length ? "all" : steps[place];
    slider.setAttribute("aria-valuetext", said.textContent);
    for (const row of table.rows) {
      [...row.cells].slice(1).forEach((cell, index) => (cell.hidden = place !== steps.length && index !== place));
    }
  };
  slider.addEventListener("input", show);
  show();
}
