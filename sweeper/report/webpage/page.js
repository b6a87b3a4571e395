"use strict";
// What Python drew is shown by Plotly; here stand the choices, the page's colours and the downloads.
const at = (id) => document.getElementById(id);
const drawn = JSON.parse(at("data").textContent);
const files = JSON.parse(at("file-data").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const touch = window.matchMedia("(hover: none)").matches;
const shown = new Map(); // figure -> what is drawn in it now
const PAPER = 700; // pixels across a printed page, A4 or letter, within its margins
let printed = false;

// A finger that moves over a figure scrolls the page; a mouse may zoom where there is something to zoom into.
function themed(figure, width) {
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(name).trim();
  const { minwidth, legend, ...given } = figure.layout;
  const [ink, line] = [colour("--ink"), colour("--line")];
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true, fixedrange: true };
  const still = touch ? { fixedrange: true } : {};
  return {
    margin: { l: 60, r: 20, t: 40, b: 40 },
    ...given,
    dragmode: (!touch && given.dragmode) || false,
    width: Math.max(width, minwidth || 0),
    font: { color: ink, family: "system-ui, sans-serif", size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: given.plot_bgcolor ? colour(given.plot_bgcolor) : "rgba(0,0,0,0)",
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", ...legend },
    hoverlabel: { align: "left", bgcolor: colour("--panel"), bordercolor: colour("--soft"), font: { color: ink } },
    xaxis: { ...axis, ...given.xaxis, ...still },
    yaxis: { ...axis, ...given.yaxis },
    annotations: (figure.annotations || []).map((one) => ({ ...one, font: { color: ink, size: 12 } })),
  };
}

function draw(name, figure) {
  const [box, none] = [at(name + "-figure"), at(name + "-none")];
  shown.set(name, figure);
  box.hidden = !figure;
  if (none) none.hidden = Boolean(figure);
  if (!figure) return;
  box.style.zoom = "";
  const layout = themed(figure, printed ? PAPER : box.clientWidth);
  box.style.zoom = printed ? Math.min(1, PAPER / layout.width) : ""; // no paper can be scrolled
  Plotly.react(box, figure.data, layout, { displayModeBar: false });
  box.style.minHeight = "";
}

function options(select, choices) {
  for (const [value, text] of choices) select.add(new Option(text, value));
}

if (!drawn.matrix["gain|task"]) at("value").querySelector("[value=gain]").remove(); // the control alone
options(at("by"), drawn.axes);
for (const [select, several] of [["target", "languages"], ["languages-choice", "languages"], ["curves-choice", "curves"]])
  options(at(select), Object.keys(drawn[several]).map((name) => [name, name]));

// ---- a page that reads itself again: what was chosen, and the place on the page, stay -------------

if (document.querySelector("meta[http-equiv=refresh]")) {
  const [name, selects] = ["sweeper " + location.pathname, [...document.querySelectorAll("select")]];
  const before = JSON.parse(sessionStorage.getItem(name));
  for (const one of before ? selects : [])
    if ([...one.options].some((option) => option.value === before.chosen[one.id])) one.value = before.chosen[one.id];
  if (before) window.addEventListener("load", () => window.scrollTo(0, before.place));
  window.addEventListener("pagehide", () => {
    const chosen = Object.fromEntries(selects.map((one) => [one.id, one.value]));
    sessionStorage.setItem(name, JSON.stringify({ chosen, place: window.scrollY }));
  });
}

// ---- the matrix --------------------------------------------------------------------------------

const hint = at("cell").textContent;
let place = null; // row and column of the cell that was clicked, or that the arrow keys are at

function matrix() {
  const [value, by, target] = ["value", "by", "target"].map((id) => at(id).value);
  const whole = drawn.matrix[`${value}|${by}`];
  const figure = whole || drawn.matrix[`${value}|${by}|${target}`];
  at("target-label").hidden = Boolean(whole);
  at("colours").hidden = value !== "gain";
  at("notes").replaceChildren(...drawn.notes[`${value}|${by}`].map((note) => {
    const made = document.createElement("li");
    made.textContent = note;
    return made;
  }));
  at("heading").textContent = figure ? figure.title : "Nothing of this target is zero-shot.";
  at("cell").textContent = hint;
  place = null;
  draw("matrix", figure && pointed(figure));
  table(figure);
}

// With what the box beside the pointer says, and what stands where there is no value.
function pointed(figure) {
  const box = (i, j) => escaped(figure.told[i][j]).replaceAll("\n", "<br>");
  const annotations = [];
  const data = figure.data.map((trace) => {
    const customdata = trace.z.map((_, i) => trace.columns.map((j) => box(i, j)));
    return { ...trace, customdata, ...(touch ? { hovertemplate: "", hoverinfo: "none" } : {}) };
  });
  for (const { columns, x, y, z } of figure.data)
    z.forEach((values, i) => columns.forEach((j, k) => {
      if (values[k] !== null) return;
      const text = escaped(figure.texts[i][j]);
      annotations.push({ x: x[k], y: y[i], text, showarrow: false, hovertext: touch ? "" : box(i, j), captureevents: true, cell: [i, j] });
    }));
  return { ...figure, data, annotations };
}

// Plotly reads some HTML in labels.
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function tell(i, j) {
  place = [i, j];
  at("cell").textContent = shown.get("matrix").told[i][j];
  const line = { width: 3, color: getComputedStyle(document.documentElement).getPropertyValue("--link").trim() };
  Plotly.relayout(at("matrix-figure"), { shapes: [{ x0: j - 0.5, x1: j + 0.5, y0: i - 0.5, y1: i + 0.5, line }] });
}

const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
at("matrix-figure").addEventListener("keydown", (event) => {
  const [step, figure] = [steps[event.key], shown.get("matrix")];
  if (!step || !figure) return;
  event.preventDefault();
  const most = [figure.rows.length - 1, figure.columns.length - 1];
  tell(...(place ? [0, 1].map((k) => Math.min(Math.max(place[k] + step[k], 0), most[k])) : [0, 0]));
  at("cell").scrollIntoView({ block: "nearest" });
});

function table(figure) {
  if (!figure) return at("matrix-table").replaceChildren();
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
      one.dataset.value = figure.values[i][j] ?? "";
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
at("matrix-figure").on("plotly_click", ({ points: [one] }) => tell(one.pointIndex[0], one.data.columns[one.pointIndex[1]]));
at("matrix-figure").on("plotly_clickannotation", ({ annotation }) => tell(...annotation.cell));

// ---- the other figures -------------------------------------------------------------------------

// A figure is drawn when it comes near the screen: the page is there at once. Its place is kept for
// it, so that nothing moves when it comes: neither where a link leads, nor where a reader was.
const later = new Map();
const seen = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((one) => one.isIntersecting)) drawNow(target);
}, { rootMargin: "400px" });
function whenNear(name, chosen, show) {
  const [box, figure] = [at(name + "-figure"), chosen()];
  if (!figure) return show();
  box.style.minHeight = figure.layout.height + "px";
  later.set(box, show);
  seen.observe(box);
}
function drawNow(box) {
  seen.unobserve(box);
  later.get(box)();
  later.delete(box);
}

for (const name of ["languages", "curves"]) {
  const select = at(name + "-choice");
  const chosen = () => drawn[name][select.value];
  const show = () => {
    const figure = chosen();
    if (name === "curves") at("curves-said").textContent = figure ? figure.said : "";
    draw(name, figure);
  };
  select.addEventListener("change", show);
  whenNear(name, chosen, show);
}
at("curves-choice").closest("form").hidden = !Object.keys(drawn.curves).length;
for (const name of ["flow", "timeline", "cost"])
  whenNear(name, () => drawn[name][""], () => draw(name, drawn[name][""]));
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

// Paper has all figures, as wide as it is, in the light mode's colours.
function paper(now) {
  printed = now;
  document.documentElement.classList.toggle("printed", now);
  if (now) [...later.keys()].forEach(drawNow);
  again();
}
window.addEventListener("beforeprint", () => paper(true));
window.addEventListener("afterprint", () => paper(false));

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
