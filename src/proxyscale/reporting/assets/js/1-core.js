"use strict";
// What all parts of the report draw with. The data stands in the page; nothing is fetched.
const D = JSON.parse(document.getElementById("data").textContent);
const $$ = (id) => document.getElementById(id);
const NS = "http://www.w3.org/2000/svg";
const label = (name) => D.labels[name] || name;
const chosen = { proxy: D.proxy, tasks: new Set(D.drawn), statistic: "r2", group: "all", task: null, example: null };

// --- Words
function number(value, digits = 3) {
  if (value === null || value === undefined) return "n/a";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size >= 1e3 && size < 1e6) return value.toLocaleString("en-US");
  if (size >= 1e5 || (size > 0 && size < 1e-3)) {
    for (const [limit, suffix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (size >= limit && size < 1e15) return +(value / limit).toPrecision(digits) + suffix;
    return value.toExponential(digits - 1).replaceAll("-", "−");
  }
  const short = +value.toPrecision(digits);
  return size >= 1e3 ? short.toLocaleString("en-US") : String(short).replace("-", "−");
}
const known = (value) => value !== null && value !== undefined;
const fixed = (value, digits = 2) => (known(value) ? value.toFixed(digits).replace("-", "−") : "n/a");
const interval = (low, high, digits = 2) => (known(low) && known(high) ? `[${fixed(low, digits)}, ${fixed(high, digits)}]` : "");
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
// In words compute is "49× cheaper", on axes 1/49.
const cheaper = (ratio) => (!ratio ? "compute unknown" : ratio >= 1 ? `${number(ratio)}× cheaper` : `${number(1 / ratio)}× dearer`);
const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
const statisticName = (name) => D.names[name] || name.replaceAll("_", " ");

// --- Elements
function element(parent, tag, attributes = {}, text) {
  const node = document.createElementNS(parent.namespaceURI === NS || tag === "svg" ? NS : "http://www.w3.org/1999/xhtml", tag);
  for (const [key, value] of Object.entries(attributes)) if (known(value)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}
function options(select, names, value, told, change) {
  for (const name of names) element(select, "option", { value: name }, told(name));
  select.value = value;
  select.addEventListener("change", () => change(select.value));
}
function cleared(id) {
  const root = $$(id);
  root.textContent = "";
  return root;
}

// --- Statistics by name
const table = new Map();
for (const [statistic, group, task, proxy, value, low, high, ceiling, n, named, unit] of D.statistics) table.set([statistic, group, task, proxy].join("\n"), { value, low, high, ceiling, n, named, unit });
const found = (statistic, task, proxy, group = "all") => table.get([statistic, group, task, proxy].join("\n"));
const groups = [...new Set(D.statistics.map((row) => row[1]))].sort((a, b) => (b === "all") - (a === "all"));
const groupName = (group) => (group === "all" ? "all distributions" : label(group));
// R² with its sign, which is that of the correlation.
function signedR2(value, r, digits = 2) {
  if (!known(value)) return "R² n/a";
  return r < 0 ? `R² −${fixed(value, digits)} (inverted)` : `R² ${fixed(value, digits)}`;
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
    tip.style.top = Math.max(6, y + 18 + box.height > innerHeight ? y - box.height - 12 : y + 18) + "px";
  };
  node.setAttribute("tabindex", "-1");
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", [title, ...lines].join(", "));
  node.addEventListener("pointermove", (event) => show(event.clientX, event.clientY));
  node.addEventListener("pointerleave", () => (tip.hidden = true));
  node.addEventListener("focus", () => { const box = node.getBoundingClientRect(); if (node.matches(":focus-visible")) show(box.right, box.bottom); });
  node.addEventListener("blur", () => (tip.hidden = true));
}
// A chart is one stop of the Tab key; arrow keys go from point to point, from left to right.
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -Infinity, End: Infinity };
function oneStop(svg) {
  const at = (node) => node.getBBox().x + node.getBBox().width / 2;
  const points = [...svg.querySelectorAll(".point[tabindex]")].map((node) => [at(node), node]).sort((a, b) => a[0] - b[0]).map(([, node]) => node);
  if (!points.length) return;
  points[0].setAttribute("tabindex", "0");
  svg.addEventListener("keydown", (event) => {
    const from = points.indexOf(document.activeElement);
    if (from < 0 || !(event.key in STEPS)) return;
    event.preventDefault();
    const to = points[Math.max(0, Math.min(points.length - 1, from + STEPS[event.key]))];
    for (const point of points) point.setAttribute("tabindex", point === to ? "0" : "-1");
    to.focus();
  });
}

// --- Marks: the shapes of the printed figures, by name
const LINES = ["", "6 2.5", "1.5 2.5", "6 2.5 1.5 2.5"];
const look = (name) => D.looks[name] || D.looks[""];
const color = (mark) => `var(--c${mark.color})`;
function outline(shape, x, y, r) {
  const polygon = (points) => "M" + points.map(([a, b]) => `${(x + a * r).toFixed(2)},${(y + b * r).toFixed(2)}`).join("L") + "Z";
  const cross = [[-0.35, -1], [0.35, -1], [0.35, -0.35], [1, -0.35], [1, 0.35], [0.35, 0.35], [0.35, 1], [-0.35, 1], [-0.35, 0.35], [-1, 0.35], [-1, -0.35], [-0.35, -0.35]];
  const star = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => [Math.sin(i * 0.62832) * (i % 2 ? 0.5 : 1.25), -Math.cos(i * 0.62832) * (i % 2 ? 0.5 : 1.25)]);
  const turned = cross.map(([a, b]) => [(a - b) * 0.707, (a + b) * 0.707]);
  const five = [0, 1, 2, 3, 4].map((i) => [Math.sin(i * 1.2566) * 1.05, -Math.cos(i * 1.2566) * 1.05]);
  const forms = {
    s: [[-0.88, -0.88], [0.88, -0.88], [0.88, 0.88], [-0.88, 0.88]], "^": [[0, -1.05], [1, 0.8], [-1, 0.8]], v: [[0, 1.05], [1, -0.8], [-1, -0.8]],
    "<": [[-1.05, 0], [0.8, 1], [0.8, -1]], ">": [[1.05, 0], [-0.8, 1], [-0.8, -1]], D: [[0, -1.15], [1.15, 0], [0, 1.15], [-1.15, 0]], P: cross, X: turned, p: five, "*": star,
  };
  if (forms[shape]) return polygon(forms[shape]);
  return `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0Z`;
}
function drawMark(svg, mark, x, y, r) {
  const style = mark.filled ? `fill:${color(mark)};stroke:var(--paper)` : `fill:var(--paper);stroke:${color(mark)}`;
  return element(svg, "path", { d: outline(mark.marker, x, y, r), class: "point", style, "stroke-width": mark.filled ? 1 : 1.8 });
}
function legend(root, entries) {
  root.textContent = "";
  for (const [name, mark, line] of entries) {
    const span = element(root, "span");
    const svg = element(span, "svg", { viewBox: "0 0 22 14", style: "width:22px", "aria-hidden": "true" });
    if (line) element(svg, "line", { x1: 0, x2: 22, y1: 7, y2: 7, style: `stroke:${color(mark)}`, "stroke-width": 1.8, "stroke-dasharray": LINES[mark.dash] });
    drawMark(svg, mark, 11, 7, 4.4).removeAttribute("class");
    element(span, "bdi", {}, name);
  }
}

// --- Axes
function ticks(low, high, most = 5) {
  const rough = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999);
  const marks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-6; i++) marks.push(+(i * step).toPrecision(12));
  return marks;
}
const decimals = (values) => Math.max(0, ...values.map((v) => (String(v).split(".")[1] || "").length));
const share = (v) => (v >= 1 ? number(v) : `1/${number(1 / v)}`); // of the reference's compute, on an axis
function powers(low, high) {
  const marks = [];
  for (let p = Math.ceil(Math.log10(low) - 1e-9); 10 ** p <= high * 1.001; p++) marks.push(10 ** p);
  if (marks.length < 3) for (const v of [...marks]) for (const f of [0.2, 0.5]) if (v * f >= low) marks.push(v * f);
  return marks.sort((a, b) => a - b);
}
function padded(values, part = 0.08) {
  const low = Math.min(...values), high = Math.max(...values);
  const more = (high - low) * part || Math.abs(low) * 0.05 || 0.5;
  return [low - more, high + more];
}
const room = (root, most) => Math.max(280, Math.min(most, root.clientWidth || most));
function chart(parent, width, height, summary) {
  return element(parent, "svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": summary });
}
const LEFT = 62; // of the frame, for the words before it
const clipped = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
// `x` and `y` are limits, or for `names` across their words; `bent` bends an axis, ticks are `from` some x on.
function axes(svg, { width, height, left = LEFT, right = 12, top = 10, bottom = 44, x, y, xlabel, ylabel, log = false, names, bent, yticks, from }) {
  const across = log ? Math.log10 : (v) => v, up = bent || ((v) => v);
  if (names) x = [-0.5, names.length - 0.5];
  const X = (v) => left + ((across(v) - across(x[0])) / (across(x[1]) - across(x[0]))) * (width - left - right);
  const Y = (v) => height - bottom - ((up(v) - up(y[0])) / (up(y[1]) - up(y[0]))) * (height - top - bottom);
  const ys = yticks || ticks(...y);
  for (const v of ys) {
    element(svg, "line", { class: "grid", x1: left, x2: width - right, y1: Y(v), y2: Y(v) });
    element(svg, "text", { x: left - 7, y: Y(v) + 4, "text-anchor": "end" }, (yticks ? String(v) : v.toFixed(decimals(ys))).replace("-", "−"));
  }
  const xs = names ? names.map((_, i) => i) : log ? powers(from || x[0], x[1]) : ticks(...x, width < 400 ? 4 : 6);
  const most = names && Math.max(4, Math.floor((width - left - right) / names.length / 6.3));
  for (const v of xs) {
    if (!names) element(svg, "line", { class: "grid", x1: X(v), x2: X(v), y1: top, y2: height - bottom });
    const text = element(svg, "text", { x: X(v), y: height - bottom + 17, "text-anchor": "middle" }, names ? clipped(names[v], most) : log ? share(v) : v.toFixed(decimals(xs)).replace("-", "−"));
    if (names) element(text, "title", {}, names[v]);
  }
  element(svg, "line", { class: "frame", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom });
  element(svg, "line", { class: "frame", x1: left, x2: left, y1: top, y2: height - bottom });
  const fits = (text, length) => clipped(text, Math.floor(length / 6.2));
  element(svg, "text", { class: "axis", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, fits(xlabel || "", width - left));
  element(svg, "text", { class: "axis", transform: `translate(13 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, fits(ylabel || "", height - bottom));
  return { X, Y };
}
function bar(svg, mark, { X, Y }, x, low, high) {
  if (known(low) && known(high)) element(svg, "line", { x1: X(x), x2: X(x), y1: Y(low), y2: Y(high), style: `stroke:${color(mark)}`, "stroke-width": 1.2 });
}
// Points with intervals over names: a panel. `series`: [{ mark, points: [{ at, value, low, high, title, lines, open }] }].
function dots(parent, { title, side, names, series, ylabel, summary, xlabel }) {
  const figure = element(parent, "figure");
  const caption = element(figure, "figcaption");
  element(caption, "bdi", {}, title);
  if (side) element(caption, "small", {}, side);
  const width = 340, height = 232;
  const svg = chart(figure, width, height, `${title}: ${summary}`);
  const ends = series.flatMap((s) => s.points.flatMap((p) => [p.value, p.low, p.high])).filter(known);
  const place = axes(svg, { width, height, names, y: padded([...ends, 0]), ylabel, xlabel });
  element(svg, "line", { class: "zero", x1: LEFT, x2: width - 12, y1: place.Y(0), y2: place.Y(0) });
  series.forEach(({ mark, points }, i) => {
    const shift = (i - (series.length - 1) / 2) * Math.min(0.16, 0.7 / series.length);
    for (const p of points) {
      bar(svg, mark, place, p.at + shift, p.low, p.high);
      hint(drawMark(svg, { ...mark, filled: !p.open }, place.X(p.at + shift), place.Y(p.value), 4.8), p.title, p.lines);
    }
  });
  oneStop(svg);
  element(figure, "p", { class: "summary" }, summary);
}
