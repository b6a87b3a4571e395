"use strict";
// What Python drew is shown by Plotly; here stand the choices, the page's colours and the downloads.
const drawn = JSON.parse(document.getElementById("data").textContent);
const files = JSON.parse(document.getElementById("file-data").textContent);
const at = (id) => document.getElementById(id);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const shown = new Map(); // figure -> what is drawn in it now

function themed(figure, width) {
  const css = getComputedStyle(document.documentElement);
  const [ink, line] = ["--ink", "--line"].map((name) => css.getPropertyValue(name).trim());
  const { minwidth, ...given } = figure.layout;
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  return {
    ...given,
    width: Math.max(width, minwidth || 0),
    font: { color: ink, family: "system-ui, sans-serif", size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 60, r: 20, t: 40, b: 40 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
    hoverlabel: { align: "left" },
    xaxis: { ...axis, ...given.xaxis },
    yaxis: { ...axis, ...given.yaxis },
    annotations: (given.annotations || []).map((one) => ({ ...one, font: { ...one.font, color: ink } })),
  };
}

function draw(name, figure) {
  const box = at(name + "-figure");
  shown.set(name, figure);
  box.hidden = !figure;
  if (!figure) return;
  const layout = themed(figure, box.clientWidth);
  Plotly.react(box, figure.data, layout, { displayModeBar: false });
}

function options(select, choices) {
  for (const [value, text] of choices) select.add(new Option(text, value));
}

// A figure is drawn when it comes near the screen: the page is there at once.
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    seen.unobserve(entry.target);
    later.get(entry.target)();
  }
}, { rootMargin: "400px" });
const later = new Map();
function whenNear(name, make) {
  const box = at(name + "-figure");
  later.set(box, make);
  seen.observe(box);
}

// ---- the matrix --------------------------------------------------------------------------------

const targets = Object.keys(drawn.languages);
options(at("by"), drawn.axes);
options(at("target"), targets.map((name) => [name, name]));

function matrix() {
  const [value, by, target] = ["value", "by", "target"].map((id) => at(id).value);
  const whole = drawn.matrix[`${value}|${by}`];
  at("target-label").hidden = Boolean(whole);
  const figure = whole || drawn.matrix[`${value}|${by}|${target}`];
  for (const one of ["gain", "score"]) at("notes-" + one).hidden = one !== value;
  at("heading").textContent = figure ? figure.title + "." : "Nothing of this target is zero-shot.";
  draw("matrix", figure);
  table(figure);
}

function table(figure) {
  if (!figure) return at("matrix-table").replaceChildren();
  const trace = figure.data[0];
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const name of ["", ...figure.columns]) cell(head, "th", name).scope = "col";
  const body = made.createTBody();
  figure.rows.forEach((name, i) => {
    const row = body.insertRow();
    cell(row, "th", name).scope = "row";
    figure.columns.forEach((_, j) => {
      const one = cell(row, "td", figure.texts[i][j]);
      one.className = "number";
      one.dataset.value = trace.z[i][j] === null ? "" : String(trace.z[i][j]);
    });
  });
  at("matrix-table").replaceChildren(made);
}

function cell(row, tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  row.append(made);
  return made;
}

for (const id of ["value", "by", "target"]) at(id).addEventListener("change", matrix);
matrix();

// ---- the other figures -------------------------------------------------------------------------

for (const name of ["languages", "curves"]) {
  const select = at(name + "-choice");
  options(select, Object.keys(drawn[name]).map((choice) => [choice, choice]));
  const show = () => draw(name, drawn[name][select.value]);
  select.addEventListener("change", show);
  whenNear(name, show);
}
at("curves-none").hidden = Object.keys(drawn.curves).length > 0;
at("curves-choice").closest("form").hidden = !at("curves-none").hidden;
for (const name of ["flow", "timeline", "cost"]) whenNear(name, () => draw(name, drawn[name][""]));
for (const [name, text] of Object.entries(drawn.said)) at(name + "-said").textContent = text;

function again() {
  for (const [name, figure] of shown) draw(name, figure);
}
dark.addEventListener("change", again);
let waiting;
window.addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(again, 150);
});

// ---- downloads ---------------------------------------------------------------------------------

async function unpacked(base64) {
  const packed = await (await fetch("data:application/gzip;base64," + base64)).blob();
  return new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).blob();
}

for (const [name, content] of Object.entries(files)) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", async () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await unpacked(content));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
  at("files").append(button);
}
