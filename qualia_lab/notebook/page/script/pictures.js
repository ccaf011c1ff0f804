// Pictures of several steps, or in the order of the numbers in their paths: one step of all runs at a time, chosen by a
// slider and its arrow keys.
function startPictures() {
  for (const table of main.querySelectorAll("table")) {
    const headers = [...(table.tHead?.rows[0]?.cells ?? [])].slice(1);
    const found = headers.map((cell) => /^(step|picture) (-?[\d,]+)$/.exec(cell.textContent.trim()));
    if (found.length < 2 || !found.every(Boolean) || !table.querySelector("td img")) continue;
    addSlider(table, found[0][1], found.map(([, , step]) => step));
  }
}

function addSlider(table, unit, steps) {
  const label = document.createElement("label");
  const slider = Object.assign(document.createElement("input"), { type: "range", min: "0", max: String(steps.length) });
  const said = document.createElement("output");
  label.className = "steps";
  label.append(`${unit} `, slider, said);
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
