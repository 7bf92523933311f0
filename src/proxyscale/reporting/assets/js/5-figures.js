// --- Proxy against reference
const axisUnit = D.axis_unit ? ` (${D.axis_unit})` : "";
// What an axis shows, in so many characters: a long name is cut, never the unit.
const measured = (what, scale, most) => `${what} of ${clipped(label(scale), Math.max(6, most - what.length - 4 - axisUnit.length))}${axisUnit}`;
const shownTasks = () => D.tasks.filter((t) => chosen.tasks.has(t.name));
const lossWord = (task) => (D.tasks.find((t) => t.name === task).better === "lower" ? "loss" : "value");
function leastSquares(points) {
  const [mx, my] = [mean(points.map((p) => p.x)), mean(points.map((p) => p.y))];
  const spread = points.reduce((sum, p) => sum + (p.x - mx) ** 2, 0);
  const slope = points.reduce((sum, p) => sum + (p.x - mx) * (p.y - my), 0) / spread;
  return spread ? (x) => my + slope * (x - mx) : null;
}
// More points than can be told apart are one path for each mark, without words.
const MOST_POINTS = 2000;
function cloud(svg, points, X, Y) {
  const forms = new Map();
  for (const p of points) {
    const key = [p.look.color, p.look.marker, p.look.filled].join();
    if (!forms.has(key)) forms.set(key, { look: p.look, parts: [] });
    forms.get(key).parts.push(outline(p.look.marker, +X(p.x).toFixed(1), +Y(p.y).toFixed(1), 1.6));
  }
  for (const { look, parts } of forms.values()) element(svg, "path", { class: "cloud", d: parts.join(""), style: `fill:${color(look)}`, "fill-opacity": 0.5 });
}
function scatter(parent, points, { title, side, summary, what }) {
  const figure = element(parent, "figure");
  const caption = element(figure, "figcaption");
  element(caption, "bdi", {}, title);
  if (side) element(caption, "small", { class: side.alarm ? "alarm" : "" }, side.text);
  const width = 340, height = 262;
  const svg = chart(figure, width, height, `${title}: ${summary}`);
  const xs = points.flatMap((p) => [p.x, ...(p.xs || [])]), ys = points.flatMap((p) => [p.y, ...(p.ys || [])]);
  const line = points.length > 2 && leastSquares(points);
  const ends = [Math.min(...points.map((p) => p.x)), Math.max(...points.map((p) => p.x))];
  if (line) ys.push(...ends.map(line));
  const { X, Y } = axes(svg, { width, height, x: padded(xs), y: padded(ys), xlabel: measured(what, chosen.proxy, 42), ylabel: measured(what, D.reference, 32) });
  if (line) element(svg, "line", { class: "fit", x1: X(ends[0]), x2: X(ends[1]), y1: Y(line(ends[0])), y2: Y(line(ends[1])), "stroke-dasharray": line(ends[1]) < line(ends[0]) ? "5 3" : null });
  const many = points.length > MOST_POINTS;
  if (many) cloud(svg, points, X, Y);
  for (const p of many ? [] : points) {
    const stroke = { style: `stroke:${color(p.look)}` };
    if (p.xs && p.xs.length > 1) element(svg, "line", { x1: X(Math.min(...p.xs)), x2: X(Math.max(...p.xs)), y1: Y(p.y), y2: Y(p.y), ...stroke });
    if (p.ys && p.ys.length > 1) element(svg, "line", { x1: X(p.x), x2: X(p.x), y1: Y(Math.min(...p.ys)), y2: Y(Math.max(...p.ys)), ...stroke });
  }
  for (const p of many ? [] : points) hint(drawMark(svg, p.look, X(p.x), Y(p.y), points.length > 40 ? 3.2 : 5), p.title, p.lines);
  oneStop(svg);
  element(figure, "p", { class: "summary" }, summary);
}
// What R² would be without one of the distributions, and which moves it most.
const withoutOne = (r, squared = squaredSigned) => (r && known(r.low) ? `with one left out ${fixed(squared(r.low))} to ${fixed(squared(r.high))}, most moved by ${label(r.named)}` : "");
function leverage(n, r) {
  const told = withoutOne(r);
  return `${n} distributions${told ? `; ${told}` : ""}.`;
}
// The same of points that have no statistics of their own.
function leftOut(points) {
  const all = correlation(points), others = points.map((p) => correlation(points.filter((q) => q !== p)));
  if (points.length < 4 || !known(all) || !others.some(known)) return null;
  const z = (r) => Math.atanh(r * (1 - 1e-9)), moved = others.map((r) => (known(r) ? Math.abs(z(r) - z(all)) : -1));
  const ends = others.filter(known);
  return { low: Math.min(...ends), high: Math.max(...ends), named: points[moved.indexOf(Math.max(...moved))].name };
}
function correlation(points) {
  const of = (key) => { const m = mean(points.map((p) => p[key])); return points.map((p) => p[key] - m); };
  const [x, y] = [of("x"), of("y")], dot = (a, b) => a.reduce((sum, v, i) => sum + v * b[i], 0);
  const size = Math.sqrt(dot(x, x) * dot(y, y));
  return size > 0 ? dot(x, y) / size : null;
}
function drawCorrelation() {
  const root = cleared("correlation");
  $$("correlation-title").textContent = `Proxy ${label(chosen.proxy)} against reference ${label(D.reference)}: ${cheaper(D.ratios[chosen.proxy])}`;
  for (const { name: task } of shownTasks()) {
    const what = lossWord(task);
    const points = D.distributions.map((name, i) => {
      const [xs, ys] = [D.losses[task][chosen.proxy][i], D.losses[task][D.reference][i]];
      const told = (scale, values) => `${label(scale)}: ${what} ${number(mean(values), 4)}` + (values.length > 1 ? `, seeds ${values.map((v) => number(v, 4)).join(", ")}` : ", one seed");
      return xs.length && ys.length ? { x: mean(xs), y: mean(ys), xs, ys, look: look(name), title: label(name), lines: [told(chosen.proxy, xs), told(D.reference, ys)] } : null;
    }).filter(Boolean);
    if (!points.length) continue;
    const r2 = found("r2", task, chosen.proxy), r = (found("pearson", task, chosen.proxy) || {}).value;
    const ends = found("pearson", task, chosen.proxy) || {};
    const text = r2 && known(r2.value) ? `${signedR2(r2.value, r)} ${signedInterval(ends)}` : "R² n/a";
    scatter(root, points, { title: label(task), side: { text, alarm: r < 0 }, summary: leverage(points.length, found("pearson_leave_one_out", task, chosen.proxy)), what });
  }
}
// The interval of R² with the sign of the correlation's ends.
const squaredSigned = (v) => (known(v) ? Math.sign(v) * v * v : null);
const signedInterval = (r) => interval(squaredSigned(r.low), squaredSigned(r.high));

// --- A statistic against compute: a panel a test set
const BENT = new Set(["r2", "r2_log", "pearson", "pearson_corrected", "spearman"]);
const bend = (v) => Math.sign(v) * Math.atanh(Math.min(Math.sqrt(Math.abs(v)), 0.999));
const BENT_TICKS = [0, 0.9, -0.9, 0.5, 0.99, -0.99, -0.5, 0.95, 0.8]; // those that matter most come first
const bentTicks = (bottom) => BENT_TICKS.filter((v) => v >= bottom).reduce((kept, v) => (kept.every((k) => Math.abs(bend(k) - bend(v)) > 0.07 * (bend(0.998) - bend(bottom))) ? [...kept, v] : kept), []);
function atCompute(statistic, task, proxy, group) {
  const row = found(statistic, task, proxy, group), r = found("pearson", task, proxy, group);
  if (!row || !known(row.value)) return null;
  if (!statistic.startsWith("r2") || !r || !known(r.value)) return row;
  const ends = r.value < 0 ? [-row.high, -row.low] : [row.low, row.high];
  const [low, high] = statistic === "r2" ? [squaredSigned(r.low), squaredSigned(r.high)] : known(row.low) ? ends : [null, null];
  return { ...row, value: r.value < 0 ? -row.value : row.value, low, high };
}
function drawCompute() {
  const root = cleared("compute"), statistic = chosen.statistic;
  const priced = D.proxies.filter((p) => D.ratios[p]);
  if (!priced.length) return element(root, "p", { class: "note" }, "The compute of these scales is not known: give their parameters and tokens.");
  const bent = BENT.has(statistic) ? bend : null, early = Object.keys(D.checkpoints).filter((name) => D.checkpoints[name]);
  // what trains nothing stands left of all compute, the next one nearer
  const least = Math.min(...[...priced.map((p) => 1 / D.ratios[p]), ...early.map((name) => 1 / D.checkpoints[name])]);
  const places = { scale: priced.map((p) => [p, 1 / D.ratios[p]]), checkpoint: early.map((name) => [name, 1 / D.checkpoints[name]]), rival: D.rivals.map((name, i) => [name, least / 3 ** (D.rivals.length - i)]) };
  for (const { name: task } of shownTasks()) { // one axis for all, but where the order is inverted
    const rows = Object.entries(places).flatMap(([kind, each]) => each.map(([proxy, at]) => ({ proxy, at, kind, ...atCompute(statistic, task, proxy, chosen.group) }))).filter((row) => known(row.value));
    if (!rows.some((row) => row.kind === "scale")) continue;
    const low = Math.min(...rows.flatMap((r) => [r.value, r.low]).filter(known));
    const bottom = low >= 0 ? 0 : bent ? Math.max(-0.998, low) : low - 0.05;
    drawComputePanel(root, task, rows, { statistic, bent, bottom, priced });
  }
}
function drawComputePanel(root, task, every, { statistic, bent, bottom, priced }) {
  const rows = every.filter((row) => row.kind === "scale");
  const figure = element(root, "figure"), caption = element(figure, "figcaption");
  element(caption, "bdi", {}, label(task));
  const width = 340, height = 262, least = Math.min(...every.map((row) => row.at));
  const without = (row) => {
    const others = (name) => found(`${name}_leave_one_out`, task, row.proxy, chosen.group);
    return statistic === "r2" ? withoutOne(others("pearson")) : statistic === "r2_log" ? withoutOne(others("r2_log"), (r2) => r2) : "";
  };
  const told = (row) => [`${fixed(row.value)} ${interval(row.low, row.high)}`.trim() + ` at ${label(row.proxy)}`, cheaper(D.ratios[row.proxy]), without(row)].filter(Boolean).join(", ");
  const summary = `${(rows.length > 1 ? [rows[0], rows.at(-1)] : rows).map(told).join("; ")}.`;
  const svg = chart(figure, width, height, `${label(task)}, ${statisticName(statistic)}: ${summary}`);
  const yticks = bent ? bentTicks(bottom) : undefined;
  const place = axes(svg, { width, height, log: true, x: [least / 1.7, 1.4], from: Math.min(...every.filter((row) => row.kind !== "rival").map((row) => row.at)) / 1.7, y: [bottom, bent ? 0.998 : 1.02], xlabel: "compute ÷ the reference's", ylabel: statisticName(statistic), bent, yticks, top: 24 });
  const { X, Y } = place, ceilings = rows.map((r) => r.ceiling).filter(known);
  if (ceilings.length) {
    const limits = found("reference_noise_ceiling", task, rows[0].proxy, chosen.group) || {};
    const band = statistic === "r2" && known(limits.low) ? [limits.low, limits.high] : null;
    if (band) element(svg, "rect", { class: "ceiling", x: LEFT, width: width - LEFT - 12, y: Y(Math.min(band[1], 0.998)), height: Math.max(1, Y(band[0]) - Y(Math.min(band[1], 0.998))) });
    element(svg, "line", { class: "ceiling-line", x1: LEFT, x2: width - 12, y1: Y(Math.min(ceilings[0], bent ? 0.998 : 1)), y2: Y(Math.min(ceilings[0], bent ? 0.998 : 1)) });
  }
  let free = -Infinity; // names above, where there is room
  for (const p of priced) if (!D.variants[p] && X(1 / D.ratios[p]) > free) { element(svg, "text", { x: X(1 / D.ratios[p]), y: 15, "text-anchor": "middle" }, clipped(label(p), 9)); free = X(1 / D.ratios[p]) + Math.min(label(p).length, 9) * 6.5; }
  const mark = look(task);
  element(svg, "polyline", { points: rows.filter((r) => !D.variants[r.proxy]).map((r) => `${X(r.at)},${Y(r.value)}`).join(" "), fill: "none", style: `stroke:${color(mark)}`, "stroke-width": 1.4, "stroke-dasharray": LINES[mark.dash] });
  const scales = new Set(every.filter((r) => r.kind === "checkpoint").map((r) => r.proxy.split("@")[0]));
  for (const scale of scales) { // a curve of its own, which ends where the scale stands
    const run = every.filter((r) => r.proxy === scale || (r.kind === "checkpoint" && r.proxy.startsWith(`${scale}@`))).sort((a, b) => a.at - b.at);
    element(svg, "polyline", { class: "early", points: run.map((r) => `${X(r.at)},${Y(r.value)}`).join(" "), fill: "none", style: `stroke:${color(mark)}`, "stroke-dasharray": "1 3" });
  }
  const kinds = { rival: "trains nothing", checkpoint: "a checkpoint, not annealed" };
  for (const r of every) {
    bar(svg, mark, { X, Y: (v) => Y(Math.max(Math.min(v, bent ? 0.998 : 1), bottom)) }, r.at, r.low, r.high);
    const shown = { ...mark, filled: !D.variants[r.proxy], ...(r.kind === "rival" ? { marker: "*" } : {}) };
    hint(drawMark(svg, shown, X(r.at), Y(r.value), r.kind === "checkpoint" ? 2.6 : 4.6), `${label(task)} · ${label(r.proxy)}`, [`${statisticName(statistic)} ${fixed(r.value, 3)} ${interval(r.low, r.high, 3)}`, ...(kinds[r.kind] ? [kinds[r.kind]] : []), ...(r.kind === "rival" ? [] : [cheaper(1 / r.at)]), `n = ${r.n}`, ...[without(r)].filter(Boolean), ...(known(r.ceiling) ? [`noise ceiling ${fixed(r.ceiling, 3)}`] : [])]);
  }
  oneStop(svg);
  element(figure, "p", { class: "summary" }, summary);
}

// --- The frontier: single scales and laws through several
const kindOf = (name) => (name.includes(":") ? name.split(":")[0] : "single scale");
const kindName = (kind) => (D.kinds && D.kinds[kind]) || kind;
const predictorName = (name) => (kindOf(name) === "single scale" ? label(name) : `${kindName(kindOf(name))} through ${listed(name.split(":")[1].split("+").map(label))}`);
function drawFrontier() {
  const root = cleared("frontier"), tasks = shownTasks().map((t) => t.name);
  const names = Object.keys(D.ratios).filter((p) => D.ratios[p]);
  const laws = names.filter((p) => !D.proxies.includes(p));
  $$("frontier-block").hidden = !laws.length;
  if (!laws.length) return;
  const rows = names.map((name) => {
    const each = tasks.map((task) => found("decision_accuracy", task, name, chosen.group)).filter((e) => e && known(e.value));
    return { name, kind: kindOf(name), at: 1 / D.ratios[name], value: each.length === tasks.length && each.length ? mean(each.map((e) => e.value)) : null };
  }).filter((row) => known(row.value)).sort((a, b) => a.at - b.at);
  if (!rows.length) return element(root, "p", { class: "note" }, "No predictor covers all the test sets that are chosen.");
  legend(element(root, "div", { class: "legend" }), [...new Set(rows.map((r) => r.kind))].map((kind) => [kindName(kind), look(kind), false]));
  const width = room(root, 1080), height = Math.max(280, width * 0.33);
  const best = rows.reduce((a, b) => (b.value > a.value ? b : a)), coin = rows.filter((r) => r.value < 0.5);
  const among = chosen.group === "all" ? "" : `Among ${groupName(chosen.group)}: `;
  const summary = `${among}${among ? "the" : "The"} best is ${predictorName(best.name)} with ${fixed(best.value)}, ${cheaper(1 / best.at)}.${coin.length ? ` Worse than a coin: ${listed(coin.map((r) => predictorName(r.name)))}; such a law bends the losses of these scales the wrong way.` : ""}`;
  const svg = chart(root, width, height, `decision accuracy against compute: ${summary}`);
  const place = axes(svg, { width, height, log: true, x: [rows[0].at / 1.7, 1.4], y: [Math.max(0, Math.min(0.5, ...rows.map((r) => r.value)) - 0.06), 1.02], xlabel: "compute spent on proxies ÷ the reference's", ylabel: tasks.length > 1 ? "mean decision accuracy" : "decision accuracy" });
  const { X, Y } = place;
  element(svg, "line", { class: "coin", x1: LEFT, x2: width - 12, y1: Y(0.5), y2: Y(0.5) });
  let top = -1, path = "";
  for (const r of rows) if (r.value > top) { path += path ? `H${X(r.at)}V${Y(r.value)}` : `M${X(r.at)},${Y(r.value)}`; top = r.value; }
  element(svg, "path", { d: `${path}H${X(1)}`, class: "best" });
  for (const r of rows) hint(drawMark(svg, look(r.kind), X(r.at), Y(r.value), 5), predictorName(r.name), [`decision accuracy ${fixed(r.value, 3)}` + (tasks.length > 1 ? `, mean of ${tasks.length} test sets` : ""), cheaper(1 / r.at)]);
  oneStop(svg);
  element(root, "p", { class: "summary" }, summary);
}

// --- Scales of equal compute, and mixture regressions
function drawVariants() {
  const pairs = Object.entries(D.variants).filter(([variant]) => variant !== D.reference);
  $$("variants-block").hidden = !pairs.length;
  if (!pairs.length) return;
  const shown = ["spearman", "decision_accuracy"];
  const rows = pairs.flatMap(([variant, main]) => D.tasks.flatMap(({ name }) => groups.map((group) => [label(name), groupName(group), label(main), label(variant), ...shown.flatMap((s) => [main, variant].map((p) => (atCompute(s, name, p, group) || {}).value))])));
  sortable($$("variants"), ["test set", "among", "scale", "variant", ...shown.flatMap((s) => [`${statisticName(s)}, scale`, `${statisticName(s)}, variant`])], rows, 4);
}
function drawMixtures() {
  const forms = ["linear", "log_linear"].filter((form) => D.statistics.some((row) => row[0] === `mixture_${form}_regret`));
  $$("mixtures-block").hidden = !forms.length;
  const rows = D.tasks.flatMap(({ name }) => D.proxies.flatMap((proxy) => groups.flatMap((group) => forms.map((form) => {
    const [rank, lost, own, ownLost] = ["", "reference_"].flatMap((whose) => ["spearman", "regret"].map((s) => (found(`${whose}mixture_${form}_${s}`, name, proxy, group) || {}).value));
    return lost === undefined ? null : [label(name), groupName(group), label(proxy), form.replace("_", "-"), lost === 0 ? "yes" : "no", lost, rank, own, ownLost];
  })))).filter(Boolean);
  if (rows.length) sortable($$("mixtures"), ["test set", "among", "proxy", "form", "finds the best mixture", `loses (${D.unit})`, "Spearman", "reference's Spearman", "reference loses"], rows, 5);
}

// --- Controls
function drawFigures() { drawCorrelation(); drawCompute(); drawFrontier(); if (chosen.task !== null) drawExamples(); }
function startFigures() {
  options($$("proxy"), D.proxies, chosen.proxy, (p) => `${label(p)} (${cheaper(D.ratios[p])})`, (value) => { chosen.proxy = value; drawFigures(); });
  startTasks();
  const shown = D.main.filter((name) => D.statistics.some((row) => row[0] === name));
  options($$("statistic"), shown, "r2", statisticName, (value) => { chosen.statistic = value; drawCompute(); });
  options($$("group"), groups, "all", groupName, (value) => { chosen.group = value; drawCompute(); drawFrontier(); });
  const families = new Map(D.distributions.map((name) => [JSON.stringify(look(name)), name]));
  const grouped = (name) => D.memberships[name] ? ` (${D.memberships[name].join(", ")})` : "";
  legend($$("legend"), families.size < D.distributions.length ? [] : D.distributions.map((name) => [label(name) + grouped(name), look(name), false]));
  $$("equal-note").textContent = D.proxy === D.proxies[0] ? `${label(D.proxy)} is the smallest proxy as well, so that Figures 12 and 13 equal Figures 1 and 5, and are not shown twice.` : "";
  $$("besides-note").textContent = [...(D.rivals.length ? ["Stars on the left train nothing."] : []), ...(Object.keys(D.checkpoints).length ? ["Dotted are checkpoints of a scale, not annealed."] : [])].join(" ");
  drawFigures();
  drawMixtures();
  drawVariants();
}
// Test sets are chosen one by one; many of them are searched, and chosen by what is found or by group.
function startTasks() {
  const chips = D.tasks.map(({ name }) => { const chip = element($$("tasks"), "button", { type: "button", class: "chip", "data-task": name }); element(chip, "bdi", {}, label(name)); return chip; });
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
  function search(fits) { for (const chip of chips) chip.hidden = !fits(chip.dataset.task); $$("found-tasks").textContent = `${visible().length} of ${chips.length} test sets found`; }
  options($$("task-group"), ["", ...large], "", (name) => (name ? `${name} (${counts.get(name)})` : "all groups"), (name) => { $$("find-task").value = ""; search((task) => !name || group(task) === name); });
  $$("find-task").addEventListener("input", () => { const words = $$("find-task").value.toLowerCase().split(/\s+/); search((task) => words.every((word) => label(task).toLowerCase().includes(word))); });
  $$("choose-found").addEventListener("click", () => { press(D.tasks.map((t) => t.name), false); press(visible(), true); drawFigures(); });
  search(() => true);
}
