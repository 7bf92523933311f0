"use strict";
// Figures and tables of the report, drawn from the data that stands in the page.
const D = JSON.parse(document.getElementById("data").textContent);
const $$ = (id) => document.getElementById(id);
const NS = "http://www.w3.org/2000/svg";
const LINES = ["", "6 2.5", "1.5 2.5", "6 2.5 1.5 2.5"];
const [PALETTE, SHAPES] = [D.palette, D.shapes];
const STATISTICS = {
  r2: "R²", r2_log: "R² of log losses", pearson: "Pearson", pearson_corrected: "Pearson ÷ its noise ceiling", spearman: "Spearman", kendall: "Kendall τ-b",
  decision_accuracy: "decision accuracy", decision_accuracy_decided: "decision accuracy, decided pairs",
};
const LAWS = { law2: "power law", law3: "power law with a floor", loss_to_loss: "loss-to-loss law" };
const label = (name) => D.labels[name] || name;
const chosen = { proxy: D.proxy, tasks: new Set(D.drawn), statistic: "r2", group: "all", task: null, example: null };

// --- Words
function number(value, digits = 3) {
  if (value === null || value === undefined) return "n/a";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size >= 1e3 && size < 1e6) return value.toLocaleString("en-US");
  if (size >= 1e5 || (size > 0 && size < 1e-3)) {
    for (const [limit, suffix] of [[1e15, ""], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (suffix && size >= limit && size < 1e15) return +(value / limit).toPrecision(digits) + suffix;
    return value.toExponential(digits - 1);
  }
  return String(+value.toPrecision(digits));
}
const fixed = (value, digits = 2) => (value === null || value === undefined ? "n/a" : value.toFixed(digits));
const interval = (low, high, digits = 2) => (low === null ? "" : `[${fixed(low, digits)}, ${fixed(high, digits)}]`);
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const share = (ratio) => (ratio ? `1/${number(ratio)} of the compute` : "compute unknown");

// --- Elements
function element(parent, tag, attributes = {}, text) {
  const node = document.createElementNS(parent.namespaceURI === NS || tag === "svg" ? NS : "http://www.w3.org/1999/xhtml", tag);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined && value !== null) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}
function options(select, names, value, told, change) {
  for (const name of names) element(select, "option", { value: name }, told(name));
  select.value = value;
  select.addEventListener("change", () => change(select.value));
}

// --- Tooltips: for the pointer and for the keyboard
const tip = $$("tip");
function hint(node, title, lines) {
  const show = (x, y) => {
    tip.textContent = "";
    element(tip, "b", {}, title);
    tip.appendChild(document.createTextNode(lines.join("\n")));
    tip.hidden = false;
    tip.style.left = "0"; // measured where nothing makes it narrower
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = (y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18) + "px";
  };
  node.setAttribute("tabindex", "0");
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", [title, ...lines].join(", "));
  node.addEventListener("pointermove", (event) => show(event.clientX, event.clientY));
  node.addEventListener("pointerleave", () => (tip.hidden = true));
  node.addEventListener("focus", () => { const box = node.getBoundingClientRect(); if (node.matches(":focus-visible")) show(box.right, box.bottom); });
  node.addEventListener("blur", () => (tip.hidden = true));
}

// --- Marks: the shapes of the printed figures
function outline(shape, x, y, r) {
  const polygon = (points) => "M" + points.map(([a, b]) => `${(x + a * r).toFixed(2)},${(y + b * r).toFixed(2)}`).join("L") + "Z";
  const cross = [[-0.35, -1], [0.35, -1], [0.35, -0.35], [1, -0.35], [1, 0.35], [0.35, 0.35], [0.35, 1], [-0.35, 1], [-0.35, 0.35], [-1, 0.35], [-1, -0.35], [-0.35, -0.35]];
  const turned = cross.map(([a, b]) => [(a - b) * 0.707, (a + b) * 0.707]);
  const five = [0, 1, 2, 3, 4].map((i) => [Math.sin(i * 1.2566) * 1.05, -Math.cos(i * 1.2566) * 1.05]);
  const forms = {
    s: [[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]], "^": [[0, -1.05], [1, 0.8], [-1, 0.8]], v: [[0, 1.05], [1, -0.8], [-1, -0.8]],
    "<": [[-1.05, 0], [0.8, 1], [0.8, -1]], ">": [[1.05, 0], [-0.8, 1], [-0.8, -1]], D: [[0, -1.15], [1.15, 0], [0, 1.15], [-1.15, 0]], P: cross, X: turned, p: five,
  };
  if (forms[shape]) return polygon(forms[shape]);
  return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
}
function drawMark(svg, look, x, y, r) {
  const filled = look.filled !== false;
  return element(svg, "path", { d: outline(look.marker, x, y, r), class: "point", fill: filled ? look.color : "#fff", stroke: filled ? "#fff" : look.color, "stroke-width": filled ? 1 : 1.8 });
}
const look = (i) => ({ color: PALETTE[i % PALETTE.length], marker: SHAPES[i % SHAPES.length], filled: i < PALETTE.length, dash: LINES[i % LINES.length] });

// --- Axes
function ticks(low, high, most = 5) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i++) found.push(+(i * step).toPrecision(12));
  return found;
}
const decimals = (values) => Math.max(0, ...values.map((v) => (String(v).split(".")[1] || "").length));
function axes(svg, { width, height, left = 52, right = 12, top = 10, bottom = 44, x, y, xlabel, ylabel, log = false }) {
  const at = log ? Math.log10 : (v) => v;
  const X = (v) => left + ((at(v) - at(x[0])) / (at(x[1]) - at(x[0]))) * (width - left - right);
  const Y = (v) => height - bottom - ((v - y[0]) / (y[1] - y[0])) * (height - top - bottom);
  const ys = ticks(...y);
  for (const v of ys) {
    element(svg, "line", { class: "grid", x1: left, x2: width - right, y1: Y(v), y2: Y(v) });
    element(svg, "text", { x: left - 7, y: Y(v) + 4, "text-anchor": "end" }, v.toFixed(decimals(ys)));
  }
  const xs = log ? powers(...x) : ticks(...x, width < 400 ? 4 : 6);
  for (const v of xs) {
    element(svg, "line", { class: "grid", x1: X(v), x2: X(v), y1: top, y2: height - bottom });
    element(svg, "text", { x: X(v), y: height - bottom + 17, "text-anchor": "middle" }, log ? (v >= 1 ? "1" : `1/${number(1 / v)}`) : v.toFixed(decimals(xs)));
  }
  element(svg, "line", { class: "frame", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom });
  element(svg, "line", { class: "frame", x1: left, x2: left, y1: top, y2: height - bottom });
  element(svg, "text", { class: "axis", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xlabel);
  element(svg, "text", { class: "axis", transform: `translate(13 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, ylabel);
  return { X, Y };
}
function powers(low, high) {
  const found = [];
  for (let p = Math.ceil(Math.log10(low) - 1e-9); 10 ** p <= high * 1.001; p++) found.push(10 ** p);
  if (found.length < 3) for (const v of [...found]) for (const f of [0.2, 0.5]) if (v * f >= low) found.push(v * f);
  return found.sort((a, b) => a - b);
}
function padded(values, part = 0.08) {
  const low = Math.min(...values), high = Math.max(...values);
  const more = (high - low) * part || Math.abs(low) * 0.05 || 0.5;
  return [low - more, high + more];
}
const room = (root, most) => Math.max(320, Math.min(most, root.clientWidth || most));
function chart(parent, width, height, name) {
  return element(parent, "svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": name });
}

// --- Statistics by name
const table = new Map();
for (const [statistic, group, task, proxy, value, low, high, ceiling, n] of D.statistics) table.set([statistic, group, task, proxy].join("\n"), { value, low, high, ceiling, n });
const found = (statistic, task, proxy, group = "all") => table.get([statistic, group, task, proxy].join("\n"));
const shownTasks = () => D.tasks.filter((t) => chosen.tasks.has(t.name));

// --- Proxy against reference
function scatter(parent, points, { title, side, name, what }) {
  const figure = element(parent, "figure");
  const caption = element(figure, "figcaption", {}, title);
  if (side) element(caption, "small", { class: side.alarm ? "alarm" : "" }, side.text);
  const width = 340, height = 262;
  const svg = chart(figure, width, height, name);
  const { X, Y } = axes(svg, { width, height, x: padded(points.flatMap((p) => [p.x, ...(p.xs || [])])), y: padded(points.flatMap((p) => [p.y, ...(p.ys || [])])), xlabel: `${what} of proxy ${label(chosen.proxy)}`, ylabel: `${what} of reference ${label(D.reference)}` });
  const size = points.length > 40 ? 3.2 : 5;
  for (const p of points) {
    for (const [ends, line] of [[p.xs, (e) => ({ x1: X(e[0]), x2: X(e[1]), y1: Y(p.y), y2: Y(p.y) })], [p.ys, (e) => ({ x1: X(p.x), x2: X(p.x), y1: Y(e[0]), y2: Y(e[1]) })]])
      if (ends && ends.length > 1) element(svg, "line", { ...line([Math.min(...ends), Math.max(...ends)]), stroke: p.look.color, "stroke-opacity": 0.55 });
  }
  for (const p of points) hint(drawMark(svg, p.look, X(p.x), Y(p.y), size), p.title, p.lines);
}
function drawCorrelation() {
  const root = $$("correlation");
  root.textContent = "";
  $$("correlation-title").textContent = `Proxy ${label(chosen.proxy)} against reference ${label(D.reference)}: ${share(D.ratios[chosen.proxy])}`;
  for (const { name: task, better } of shownTasks()) {
    const what = better === "lower" ? "loss" : "value";
    const points = D.distributions.map((d, i) => {
      const [xs, ys] = [D.losses[task][chosen.proxy][i], D.losses[task][D.reference][i]];
      const told = (scale, values) => `${label(scale)}: ${what} ${number(mean(values), 4)}` + (values.length > 1 ? `, seeds ${values.map((v) => number(v, 4)).join(", ")}` : ", one seed");
      return xs.length && ys.length ? { x: mean(xs), y: mean(ys), xs, ys, look: d, title: label(d.name), lines: [told(chosen.proxy, xs), told(D.reference, ys)] } : null;
    }).filter(Boolean);
    if (!points.length) continue;
    const r2 = found("r2", task, chosen.proxy), r = found("pearson", task, chosen.proxy);
    const falls = r && r.value < 0;
    const text = r2 && r2.value !== null ? `R² ${fixed(r2.value)} ${interval(r2.low, r2.high)}${falls ? " (r < 0)" : ""}` : "R² n/a";
    scatter(root, points, { title: label(task), side: { text, alarm: falls }, name: `${task}: proxy against reference`, what });
  }
}
function legend(root, entries) {
  root.textContent = "";
  for (const [name, mark, line] of entries) {
    const span = element(root, "span");
    const svg = element(span, "svg", { viewBox: "0 0 22 14", style: "width:22px" });
    if (line) element(svg, "line", { x1: 0, x2: 22, y1: 7, y2: 7, stroke: mark.color, "stroke-width": 1.8, "stroke-dasharray": mark.dash });
    const path = drawMark(svg, mark, 11, 7, 4.4);
    path.removeAttribute("class");
    span.appendChild(document.createTextNode(name));
  }
}

// --- A statistic against compute
function drawCompute() {
  const root = $$("compute");
  root.textContent = "";
  const tasks = shownTasks().map((t) => t.name);
  const all = D.tasks.map((t) => t.name);
  const known = D.proxies.filter((p) => D.ratios[p]);
  if (!known.length) return element(root, "p", { class: "note" }, "The compute of these scales is not known: give their parameters and tokens.");
  const rows = tasks.flatMap((task) => known.map((proxy) => ({ task, proxy, at: 1 / D.ratios[proxy], ...found(chosen.statistic, task, proxy, chosen.group) })).filter((row) => row.value !== undefined && row.value !== null));
  legend(element(root, "div", { class: "legend" }), tasks.map((task) => [label(task), look(all.indexOf(task)), true]));
  const width = room(root, 1080), height = Math.max(300, width * 0.38), low = Math.min(...known.map((p) => 1 / D.ratios[p]));
  const svg = chart(root, width, height, "statistic against compute");
  const bottom = Math.min(0, ...rows.map((r) => (r.low === null ? r.value : r.low)));
  const { X, Y } = axes(svg, { width, height, log: true, x: [low / 1.7, 1.4], y: [bottom, 1.02], xlabel: "compute of the proxy / compute of the reference", ylabel: STATISTICS[chosen.statistic], top: 26 });
  for (const p of known) if (!D.variants[p]) element(svg, "text", { x: X(1 / D.ratios[p]), y: 16, "text-anchor": "middle" }, label(p));
  element(svg, "text", { x: X(1), y: 16, "text-anchor": "middle" }, label(D.reference));
  const step = Math.min(width / 110, width / 15 / Math.max(tasks.length, 1));
  tasks.forEach((task, i) => {
    const mark = look(all.indexOf(task)), shift = (i - (tasks.length - 1) / 2) * step;
    const mine = rows.filter((row) => row.task === task);
    const joined = mine.filter((row) => !D.variants[row.proxy]);
    element(svg, "polyline", { points: joined.map((r) => `${X(r.at) + shift},${Y(r.value)}`).join(" "), fill: "none", stroke: mark.color, "stroke-width": 1.6, "stroke-dasharray": mark.dash });
    for (const r of mine) {
      const x = X(r.at) + shift + (D.variants[r.proxy] ? 4 : 0);
      if (r.low !== null) element(svg, "line", { x1: x, x2: x, y1: Y(r.low), y2: Y(r.high), stroke: mark.color, "stroke-opacity": 0.45, "stroke-width": 1.4 });
      const variant = D.variants[r.proxy] ? { ...mark, filled: false } : mark;
      hint(drawMark(svg, variant, x, Y(r.value), 4.6), `${label(task)} · ${label(r.proxy)}`, [`${STATISTICS[chosen.statistic]} ${fixed(r.value, 3)} ${interval(r.low, r.high, 3)}`, share(D.ratios[r.proxy]), `n = ${r.n}`, ...(r.ceiling ? [`noise ceiling ${fixed(r.ceiling, 3)}`] : [])]);
    }
  });
}

// --- The frontier: single scales and laws through several
function drawFrontier() {
  const root = $$("frontier");
  root.textContent = "";
  const tasks = shownTasks().map((t) => t.name);
  const names = Object.keys(D.ratios).filter((p) => D.ratios[p]);
  const laws = names.filter((p) => !D.proxies.includes(p));
  $$("frontier-block").hidden = !laws.length;
  if (!laws.length) return;
  const kind = (name) => (D.proxies.includes(name) ? "single scale" : LAWS[name.split(":")[0]]);
  const kinds = ["single scale", ...new Set(laws.map(kind))];
  const rows = names.map((name) => {
    const each = tasks.map((task) => found("decision_accuracy", task, name)).filter((e) => e && e.value !== null);
    return { name, kind: kind(name), at: 1 / D.ratios[name], value: each.length === tasks.length && each.length ? mean(each.map((e) => e.value)) : null };
  }).filter((row) => row.value !== null).sort((a, b) => a.at - b.at);
  if (!rows.length) return element(root, "p", { class: "note" }, "No predictor covers all the tasks that are chosen.");
  legend(element(root, "div", { class: "legend" }), kinds.map((name, i) => [name, look(i), false]));
  const width = room(root, 1080), height = Math.max(280, width * 0.33);
  const svg = chart(root, width, height, "decision accuracy against compute");
  const { X, Y } = axes(svg, { width, height, log: true, x: [rows[0].at / 1.7, 1.4], y: [Math.max(0, Math.min(...rows.map((r) => r.value)) - 0.06), 1.02], xlabel: "compute spent on proxies / compute of the reference", ylabel: tasks.length > 1 ? "mean decision accuracy" : "decision accuracy" });
  let best = -1, path = "";
  for (const r of rows) if (r.value > best) { path += path ? `H${X(r.at)}V${Y(r.value)}` : `M${X(r.at)},${Y(r.value)}`; best = r.value; }
  element(svg, "path", { d: `${path}H${X(1)}`, fill: "none", stroke: "#222", "stroke-width": 1.4 });
  for (const r of rows) hint(drawMark(svg, look(kinds.indexOf(r.kind)), X(r.at), Y(r.value), 5), r.kind === "single scale" ? label(r.name) : `${r.kind} through ${r.name.split(":")[1].split("+").map(label).join(", ")}`, [`decision accuracy ${fixed(r.value, 3)}` + (tasks.length > 1 ? `, mean of ${tasks.length} tasks` : ""), share(1 / r.at)]);
}

// --- Scales of equal compute
function drawVariants() {
  const pairs = Object.entries(D.variants).filter(([variant]) => variant !== D.reference);
  $$("variants-block").hidden = !pairs.length;
  if (!pairs.length) return;
  const shown = ["spearman", "decision_accuracy", "r2"];
  const rows = pairs.flatMap(([variant, main]) => D.tasks.map(({ name }) => [label(name), label(main), label(variant), ...shown.flatMap((s) => [main, variant].map((p) => (found(s, name, p) || {}).value))]));
  sortable($$("variants"), ["task", "scale", "variant", ...shown.flatMap((s) => [`${STATISTICS[s]}, scale`, "variant"])], rows, 3);
}

// --- Mixture regressions
function drawMixtures() {
  const forms = ["linear", "log_linear"].filter((form) => D.statistics.some((row) => row[0] === `mixture_${form}_regret`));
  $$("mixtures-block").hidden = !forms.length;
  const rows = D.tasks.flatMap(({ name }) => D.proxies.flatMap((proxy) => forms.map((form) => {
    const [rank, lost, own, ownLost] = ["", "reference_"].flatMap((whose) => ["spearman", "regret"].map((s) => (found(`${whose}mixture_${form}_${s}`, name, proxy) || {}).value));
    return lost === undefined ? null : [label(name), label(proxy), form.replace("_", "-"), lost === 0 ? "yes" : "no", lost, rank, own, ownLost];
  }))).filter(Boolean);
  if (rows.length) sortable($$("mixtures"), ["task", "proxy", "form", "finds the best mixture", "loses", "Spearman", "reference's: Spearman", "loses"], rows, 4);
}

// --- Single examples
function drawExamples() {
  const all = D.examples[chosen.task];
  const root = $$("example-chart");
  root.textContent = "";
  const values = all.r2[chosen.proxy];
  const some = all.ids.length < all.of ? `${all.ids.length} of ${all.of} examples are shown, evenly over the ranks of their R²` : `All ${all.of} examples are shown`;
  $$("examples-note").textContent = `R² of one example's loss over the distributions, proxy ${label(chosen.proxy)}; the median of all is ${fixed(all.median[chosen.proxy])}. ${some}. Choose a point for its losses${all.texts ? " and its text" : ""}.`;
  const bins = 25, heights = new Array(bins).fill(0);
  const placed = values.map((v, i) => ({ v, i })).filter((p) => p.v !== null).sort((a, b) => a.v - b.v).map((p) => {
    const bin = Math.min(bins - 1, Math.floor(p.v * bins));
    return { ...p, bin, row: heights[bin]++ };
  });
  const width = room(root, 620), tallest = Math.max(...heights, 1), r = Math.min(8, 190 / tallest), height = Math.max(140, tallest * 2 * r + 70);
  const svg = chart(root, width, height, "R² of single examples");
  const { X } = axes(svg, { width, height, left: 18, x: [0, 1], y: [0, 1e9], xlabel: "R² of a single test example", ylabel: "" });
  svg.querySelectorAll("text[text-anchor=end], line.frame:last-of-type").forEach((node) => node.remove());
  for (const p of placed) {
    const dot = drawMark(svg, { color: PALETTE[0], marker: "o" }, X((p.bin + 0.5) / bins), height - 44 - r - 1 - p.row * 2 * r, r * 0.92);
    dot.classList.toggle("chosen", p.i === chosen.example);
    hint(dot, `example ${all.ids[p.i]}`, [`R² ${fixed(p.v)}`, ...(all.texts && all.texts[p.i][1] ? [all.texts[p.i][1].trim().slice(0, 90)] : [])]);
    const open = () => { chosen.example = p.i; svg.querySelectorAll(".chosen").forEach((node) => node.classList.remove("chosen")); dot.classList.add("chosen"); openExample(p.i); };
    dot.setAttribute("role", "button");
    dot.addEventListener("click", open);
    dot.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } });
  }
  if (placed.length) openExample(chosen.example === null ? placed[placed.length >> 1].i : chosen.example);
}
function openExample(i) {
  const all = D.examples[chosen.task], root = $$("example-detail");
  root.textContent = "";
  const points = D.distributions.map((d, j) => {
    const [x, y] = [all.losses[chosen.proxy][j][i], all.losses[D.reference][j][i]];
    return x === null || y === null ? null : { x, y, look: d, title: label(d.name), lines: [`${label(chosen.proxy)}: ${number(x, 4)}`, `${label(D.reference)}: ${number(y, 4)}`] };
  }).filter(Boolean);
  scatter(root, points, { title: `Example ${all.ids[i]}`, side: { text: `R² ${fixed(all.r2[chosen.proxy][i])}` }, name: "one example: proxy against reference", what: D.tasks.find((t) => t.name === chosen.task).better === "lower" ? "loss" : "value" });
  if (!all.texts) return;
  const [prompt, scored] = all.texts[i];
  const text = element(root, "pre");
  text.appendChild(document.createTextNode(prompt));
  element(text, "mark", { title: "the scored text" }, scored);
}

// --- Tables that sort
function sortable(root, columns, rows, texts, caption) {
  root.textContent = "";
  const grid = element(root, "table");
  if (caption) element(grid, "caption", {}, caption);
  const head = element(element(grid, "thead"), "tr"), body = element(grid, "tbody");
  const cell = (value, i) => (value === null || value === undefined ? "" : i < texts ? String(value) : typeof value === "number" ? number(value) : value);
  const fill = () => { body.textContent = ""; for (const row of rows) { const tr = element(body, "tr"); row.forEach((value, i) => element(tr, "td", { class: i < texts ? "text" : "" }, cell(value, i))); } };
  columns.forEach((name, i) => {
    const th = element(head, "th", { class: i < texts ? "text" : "", scope: "col" });
    element(th, "button", { type: "button" }, name).addEventListener("click", () => {
      const up = th.getAttribute("aria-sort") !== "ascending";
      head.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const empty = (v) => v === null || v === undefined || v === "";
      rows.sort((a, b) => empty(a[i]) - empty(b[i]) || (up ? 1 : -1) * (typeof a[i] === "number" && typeof b[i] === "number" ? a[i] - b[i] : String(a[i]).localeCompare(String(b[i]), "en", { numeric: true })));
      fill();
    });
  });
  fill();
}
function drawStatistics() {
  const words = $$("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = D.statistics.map(([statistic, group, task, proxy, ...numbers]) => [statistic.replaceAll("_", " "), label(task), label(proxy), group, ...numbers]);
  const kept = rows.filter((row) => words.every((word) => row.slice(0, 4).join(" ").toLowerCase().includes(word)));
  sortable($$("statistics-table"), ["statistic", "task", "proxy", "group", "value", "low", "high", "ceiling", "n", "which", "unit"], kept, 4);
}
function directions() {
  if (D.notes.length || D.tasks.every((t) => t.better === "lower")) return []; // notes tell them
  const words = { lower: "lower is better", higher: "higher is better", unknown: "not known which values are better" };
  return Object.entries(words).map(([way, told]) => [told, D.tasks.filter((t) => t.better === way).map((t) => label(t.name))]).filter(([, names]) => names.length).map(([told, names]) => `${told}: ${names.join(", ")}`);
}
function drawTables() {
  sortable($$("costs-table"), ["scale", "parameters", "tokens", "FLOPs a run", "reference ÷ own", "runs", "seconds a run", "seconds in all"], D.costs.map((c) => [label(c.scale), c.parameters, c.tokens, c.flops, c.ratio, c.runs, c.seconds, c.total_seconds]), 1);
  const roots = { distributions: $$("distributions-table"), sources: $$("sources-table"), tasks: $$("tasks-table") };
  const epochs = D.distributions.filter((d) => D.epochs[d.name] !== undefined);
  if (epochs.length) sortable(roots.distributions, ["distribution", "epochs, at most"], epochs.map((d) => [label(d.name), D.epochs[d.name]]), 1, "Training distributions");
  if (D.material.sources.length) sortable(roots.sources, ["source", "records read", "documents kept", "rows", "what was dropped"], D.material.sources.map((s) => [s.source, s.read, s.kept, s.rows, s.dropped]), 1, "Pool");
  const tasks = D.material.tasks;
  $$("overlap-note").hidden = !tasks.length;
  if (tasks.length) sortable(roots.tasks, ["task", "kind", "split", "records", "items", "kept", "in the pool", "context in the pool", "on the other side", "cut", "evidence lost", "all that was dropped", "found in", "beware"], tasks.map((t) => [label(t.task), t.kind, t.split, t.records, t.items, t.kept, t.in_pool, t.context_in_pool, t.in_holdout, t.cut, t.lost, t.dropped, t.found_in, t.prior]), 3, "Test sets");
  for (const line of [...D.notes, ...D.partners, ...directions()]) element($$("reading"), "li", {}, line);
  $$("versions").textContent = "Made with " + Object.entries(D.versions).map(([name, version]) => `${name} ${version}`).join(", ") + ".";
  $$("data-counts").hidden = !(epochs.length || tasks.length || D.notes.length || D.partners.length);
}

// --- The verdict's ladder: tasks by scales, trusted ones filled
function drawLadder() {
  if (!D.ladder.length) return;
  const grid = element($$("ladder"), "table");
  const head = element(element(grid, "thead"), "tr"), body = element(grid, "tbody");
  element(head, "th", { class: "text" }, "");
  for (const { scale } of D.ladder[0].scales) {
    const th = element(head, "th", { scope: "col" }, label(scale));
    element(th, "small", {}, D.ratios[scale] ? `1/${number(D.ratios[scale])}` : "");
  }
  for (const { task, scales } of D.ladder) {
    const tr = element(body, "tr");
    element(tr, "td", { class: "text" }, label(task));
    let unbroken = true;
    for (const { told, bound, passed } of scales) {
      unbroken = unbroken && passed;
      const td = element(tr, "td", { class: unbroken ? "trusted" : "" }, `${unbroken ? "✓ " : ""}${told}`);
      element(td, "small", {}, bound);
    }
  }
  element($$("ladder").parentNode, "p", { class: "note" }, D.ladder_note);
}

// --- Controls
function drawFigures() { drawCorrelation(); drawCompute(); drawFrontier(); if (chosen.task !== null) drawExamples(); }
options($$("proxy"), D.proxies, chosen.proxy, (p) => `${label(p)} (${share(D.ratios[p])})`, (value) => { chosen.proxy = value; drawFigures(); });
// Tasks are chosen one by one; many of them are searched, and chosen by what is found or by group.
const chips = D.tasks.map(({ name }) => element($$("tasks"), "button", { type: "button", class: "chip", "data-task": name }, label(name)));
function press(names, on) {
  for (const name of names) on ? chosen.tasks.add(name) : chosen.tasks.delete(name);
  for (const chip of chips) chip.setAttribute("aria-pressed", chosen.tasks.has(chip.dataset.task));
}
press([], true);
for (const chip of chips) chip.addEventListener("click", () => { press([chip.dataset.task], !chosen.tasks.has(chip.dataset.task)); drawFigures(); });
$$("many-tasks").hidden = D.tasks.length === D.drawn.length && D.tasks.length <= 24;
const group = (name) => name.split(/[/:]|_(?=[^_]*$)/)[0];
const counts = new Map();
for (const { name } of D.tasks) counts.set(group(name), (counts.get(group(name)) || 0) + 1);
const large = [...counts].filter(([, n]) => n > 1).map(([name]) => name);
const visible = () => chips.filter((chip) => !chip.hidden).map((chip) => chip.dataset.task);
function search(fits) { for (const chip of chips) chip.hidden = !fits(chip.dataset.task); $$("found-tasks").textContent = `${visible().length} of ${chips.length} tasks found`; }
options($$("task-group"), ["", ...large], "", (name) => (name ? `${name} (${counts.get(name)})` : "all groups"), (name) => { $$("find-task").value = ""; search((task) => !name || group(task) === name); });
$$("find-task").addEventListener("input", () => { const words = $$("find-task").value.toLowerCase().split(/\s+/); search((task) => words.every((word) => label(task).toLowerCase().includes(word))); });
$$("choose-found").addEventListener("click", () => { press(D.tasks.map((t) => t.name), false); press(visible(), true); drawFigures(); });
search(() => true);
const groups = [...new Set(D.statistics.map((row) => row[1]))];
const statistics = Object.keys(STATISTICS).filter((name) => D.statistics.some((row) => row[0] === name));
options($$("statistic"), statistics, "r2", (s) => STATISTICS[s], (value) => { chosen.statistic = value; drawCompute(); });
options($$("group"), groups, "all", (g) => (g === "all" ? "all distributions" : g), (value) => { chosen.group = value; drawCompute(); });
const exampleTasks = Object.keys(D.examples);
if (exampleTasks.length) {
  chosen.task = exampleTasks[0];
  options($$("example-task"), exampleTasks, chosen.task, label, (value) => { chosen.task = value; chosen.example = null; drawExamples(); });
} else $$("examples").remove();
$$("find").addEventListener("input", drawStatistics);
const families = new Map(D.distributions.map((d) => [[d.color, d.marker, d.filled].join(), d]));
legend($$("legend"), families.size < D.distributions.length ? [] : [...families.values()].map((d) => [label(d.name), d, false]));
drawLadder();
drawFigures();
drawMixtures();
drawVariants();
drawStatistics();
drawTables();
let width = innerWidth, waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; drawFigures(); } }, 150);
});
