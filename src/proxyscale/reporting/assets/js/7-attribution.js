// --- Attribution of image models: LDS by width
const methodOrder = (a, b) => (a.startsWith("trak") - b.startsWith("trak")) || a.localeCompare(b, "en", { numeric: true });
function methodName(group) {
  const [method, count] = group.split("/");
  if (method === "trak") return `TRAK, ${count} model${count === "1" ? "" : "s"}`;
  return count ? `${method} datamodels, ${count} subsets` : group;
}
function drawAttribution() {
  const task = $$("attribution-task").value, rows = D.attribution.filter((row) => row.task === task);
  const of = rows.filter((row) => known(row.proxy)), methods = [...new Set(of.map((row) => row.group))].sort(methodOrder);
  const best = methods.at(-1), ceiling = rows.map((row) => row.ceiling).find(known), accuracy = Object.fromEntries(D.accuracy.filter((row) => row.task === task).map((row) => [row.proxy, row]));
  const at = (proxy, group = best) => of.find((row) => row.proxy === proxy && row.group === group);
  const root = cleared("lds"), looks = D.shapes;
  const mark = (group) => looks[methods.indexOf(group) % looks.length];
  legend(element(root, "div", { class: "legend" }), methods.map((group) => [methodName(group), mark(group), true]));
  const [first, last] = [at(D.widths[0]), at(D.reference)];
  const summary = `${methodName(best)}: LDS ${fixed(first.value)} ${interval(first.low, first.high)} through ${label(D.widths[0])}, ${cheaper(first.compute_ratio)}, and ${fixed(last.value)} ${interval(last.low, last.high)} through ${label(D.reference)} itself${known(ceiling) ? `; perfect scores would reach ${fixed(ceiling)}` : ""}.`;
  const width = room(root, 1080), height = Math.max(280, width * 0.36), xs = of.map((row) => 1 / row.compute_ratio);
  const svg = chart(root, width, height, `LDS against compute: ${summary}`);
  const ends = of.flatMap((row) => [row.value, row.low, row.high]).filter(known);
  const place = axes(svg, { width, height, log: true, x: [Math.min(...xs) / 1.6, Math.max(...xs) * 1.6], y: padded([...ends, 0, ceiling || 0], 0.05), xlabel: "compute of attribution ÷ the reference's with most models", ylabel: `LDS over ${rows[0].n} subsets` });
  if (known(ceiling)) {
    element(svg, "line", { class: "ceiling-line", x1: LEFT, x2: width - 12, y1: place.Y(ceiling), y2: place.Y(ceiling) });
    element(svg, "text", { x: LEFT + 6, y: place.Y(ceiling) - 5 }, "ceiling");
  }
  for (const group of methods) {
    const line = of.filter((row) => row.group === group).sort((a, b) => b.compute_ratio - a.compute_ratio), m = mark(group);
    element(svg, "polyline", { points: line.map((r) => `${place.X(1 / r.compute_ratio)},${place.Y(r.value)}`).join(" "), fill: "none", style: `stroke:${color(m)}`, "stroke-width": 1.4, "stroke-dasharray": LINES[m.dash] });
    for (const r of line) {
      bar(svg, m, place, 1 / r.compute_ratio, r.low, r.high);
      const own = accuracy[r.proxy];
      hint(drawMark(svg, m, place.X(1 / r.compute_ratio), place.Y(r.value), 4.8), `${label(r.proxy)} · ${methodName(group)}`, [`LDS ${fixed(r.value, 3)} ${interval(r.low, r.high, 3)}`, cheaper(r.compute_ratio), ...(own ? [`accuracy ${fixed(100 * own.value, 1)}%`] : [])]);
    }
  }
  oneStop(svg);
  element(root, "p", { class: "summary" }, summary);
  const cell = (row, digits = 2) => withInterval(row, digits);
  sortable($$("widths"), ["width", "accuracy", `LDS, ${methodName(best)}`, "ceiling", "LDS ÷ ceiling", "compute", "Spearman of scores with the reference's"], D.widths.map((w) => {
    const lds = at(w), own = accuracy[w];
    return [label(w), own && { v: own.value, t: `${fixed(100 * own.value, 1)}%${known(own.low) ? ` ${interval(100 * own.low, 100 * own.high, 1)}` : ""}` }, cell(lds), lds.ceiling, lds.ceiling ? lds.value / lds.ceiling : null, { v: lds.compute_ratio, t: w === D.reference ? "reference" : cheaper(lds.compute_ratio) }, (D.agreement.find((row) => row.task === task && row.proxy === w) || {}).value];
  }), 1);
  const rivals = rows.filter((row) => row.group !== best);
  $$("rivals-note").textContent = `Other ways to the same scores: fewer models, regressions on retrainings${rows.some((row) => !known(row.proxy)) ? ", and the class alone, which asks no model" : ". Classes alone say nothing here: every subset has as many images of each, so that this rival is 0 by construction and is left out"}.`;
  sortable($$("rivals"), ["method", "width", "LDS", "compute"], rivals.map((row) => [methodName(row.group), known(row.proxy) ? label(row.proxy) : "no model", cell(row), known(row.compute_ratio) ? { v: row.compute_ratio, t: cheaper(row.compute_ratio) } : "none"]), 2);
}
function startAttribution() {
  const tasks = [...new Set(D.attribution.map((row) => row.task))];
  $$("attribution-controls").hidden = tasks.length < 2;
  options($$("attribution-task"), tasks, tasks[0], label, drawAttribution);
  drawAttribution();
}
