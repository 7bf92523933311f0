// --- What to train on: picks, what following them costs, selections, composition
const decided = () => [...(D.objective ? [D.objective] : []), ...D.tasks.map((t) => t.name)];
const lossUnit = (row) => (row.unit === "loss" ? D.unit : row.unit);
const pickers = [...D.rivals, ...D.proxies]; // what trains nothing, then scales, cheap to dear
const UNTOLD = "–";
const NO_PICK = "nothing is picked: not known which values are better";
const TIED = "none: all are tied";
const blind = (task, proxy, group) => (found("proxy_ties", task, proxy, group) || {}).value === 1;
function drawPicks() {
  const group = $$("choice-group").value;
  const columns = ["test set", ...pickers.map(label), label(D.reference)];
  const rows = decided().map((task) => {
    const best = D.proxies.map((p) => found("reference_pick", task, p, group)).find(Boolean);
    const cells = pickers.map((proxy) => {
      const own = found("pick", task, proxy, group), here = found("regret", task, proxy, group);
      if (!own) return "";
      if (blind(task, proxy, group)) return TIED;
      const right = here && here.value === 0;
      return { v: label(own.named), t: `${right ? "✓ " : ""}${label(own.named)}`, c: right ? "right" : "" };
    });
    const flat = D.proxies.some((p) => (found("reference_ties", task, p, group) || {}).value === 1);
    return best ? [label(task), ...cells, flat ? TIED : label(best.named)] : [label(task), NO_PICK];
  });
  sortable($$("picks"), columns, rows, columns.length, { whole: true });
}
function drawFollowing() {
  const group = $$("choice-group").value, units = new Map(); // test sets by the unit of their losses
  const rows = decided().flatMap((task) => pickers.map((proxy) => {
    const at = (statistic) => found(statistic, task, proxy, group);
    if (!at("regret")) return null;
    const own = at("regret"), next = at("regret_next"), excluded = at("regret_next_excluded");
    const compute = ["regret_compute", "regret_next_compute", "regret_next_compute_excluded"].map((name) => asCompute(at(name)) || UNTOLD);
    units.set(lossUnit(own), (units.get(lossUnit(own)) || new Set()).add(label(task)));
    return [label(task), label(proxy), blind(task, proxy, group) ? TIED : label(at("pick").named), withInterval(own, 2), withInterval(next, 2), excluded && known(excluded.value) ? { v: excluded.value, t: number(excluded.value, 2) } : "n/a", ...compute];
  })).filter(Boolean);
  const [most, ...others] = [...units].sort((a, b) => b[1].size - a[1].size);
  const measured = most ? ` in ${[most[0], ...others.map(([unit, of]) => `of ${[...of].join(", ")} in ${unit}`)].join(", ")},` : "";
  $$("costs-note").textContent = `Regret${measured} with its ${D.percent} interval, and the smallest expected one that is excluded with ${D.percent} confidence; then the factor of compute that would make up for each (– where losses follow no power law between the two largest scales).`;
  sortable($$("following"), ["test set", "proxy", "picks", "regret here", "regret next time", "excluded beyond", "here, as compute", "next time, as compute", "excluded beyond, as compute"], rows, 3);
}
// How far distributions differ, in standard deviations of one seed and, where checkpoints were kept, of the last of a run about its trend: test sets by scales.
function drawSignal() {
  const group = $$("choice-group").value, names = [...D.proxies, D.reference];
  const of = (what, task, scale) => (scale === D.reference ? D.proxies.map((p) => found(`reference_${what}`, task, p, group)).find(Boolean) : found(what, task, scale, group));
  const cell = (row) => (row && known(row.value) ? { v: row.value, t: number(row.value, 2) } : "n/a");
  for (const [what, block, root] of [["signal_to_noise", "signal-block", "signal"], ["checkpoint_signal_to_noise", "waver-block", "waver"]]) {
    const rows = decided().map((task) => [label(task), ...names.map((scale) => cell(of(what, task, scale)))]);
    $$(block).hidden = rows.every((row) => row.slice(1).every((each) => each === "n/a"));
    sortable($$(root), ["test set", ...names.map(label)], rows, 1, { whole: true });
  }
}
// The measure that each proxy foretells best: test sets by scales.
function drawMetrics() {
  const group = $$("choice-group").value;
  const best = (task, proxy) => found("best_metric", task, proxy, group);
  const tasks = D.tasks.map((t) => t.name).filter((task) => D.proxies.some((p) => best(task, p)));
  $$("metrics-block").hidden = !tasks.length;
  const cell = (row) => (row ? { v: row.value, t: `${row.named.replaceAll("_", " ")} ${fixed(row.value, 2)}` } : "n/a");
  sortable($$("metrics"), ["test set", ...D.proxies.map(label)], tasks.map((task) => [label(task), ...D.proxies.map((p) => cell(best(task, p)))]), 1, { whole: true });
}
// What is said where a group has nothing of a kind.
const lacking = (root, told) => element(root, "p", { class: "note" }, told);
const members = (group) => D.distributions.filter((name) => group === "all" || (D.memberships[name] || []).includes(group));
// A panel a selection: what it gains at every scale, cheap to dear.
function drawEffects() {
  $$("effects-block").hidden = !D.effects.length;
  if (!D.effects.length) return;
  const group = $$("choice-group").value, rows = D.effects.filter((e) => e.group === group);
  const scales = [...D.proxies, D.reference], names = [...new Set(rows.map((e) => e.distribution))];
  const baseline = D.baseline;
  $$("effects-note").textContent = `What training on a selection lowers the loss of its test set by, against ${label(baseline)} (${D.unit}), with ${D.percent} intervals; hollow where 0 is not excluded.`;
  const root = cleared("effects");
  if (!rows.length) lacking(root, `None of ${groupName(group)} is selected for a test set.`);
  for (const name of names) {
    const mine = rows.filter((e) => e.distribution === name);
    const count = (what) => mine.filter((e) => e.verdict === what).length;
    const points = mine.map((e) => ({ at: scales.indexOf(e.scale), value: e.gain, low: e.low, high: e.high, open: e.verdict === "undecided", title: `${label(name)} at ${label(e.scale)}`, lines: [`gain ${fixed(e.gain, 3)} ${interval(e.low, e.high, 3)}`, e.verdict, `${e.runs} run${e.runs === 1 ? "" : "s"}`] }));
    const told = ["helps", "harms", "undecided"].filter(count).map((what) => `${what} at ${count(what)} of ${mine.length} scales`);
    dots(root, { title: label(name), side: `on ${label(mine[0].task)}`, names: scales.map(label), series: [{ mark: look(name), points }], ylabel: `gain${axisUnit}`, xlabel: "scale", summary: `${told.join(", ")}.` });
  }
  sortable($$("effects-table"), ["selection", "test set", "scale", `gain (${D.unit})`, "runs", "finding"], rows.map((e) => [label(e.distribution), label(e.task), label(e.scale), withInterval({ value: e.gain, low: e.low, high: e.high }), e.runs, e.verdict]), 3);
}
// Figure 8: a panel a test set that data was selected for. Of a group, what its methods select.
function drawGains() {
  const group = $$("choice-group").value, methods = new Set(members(group).map((name) => D.made_by[name]));
  const every = D.gains.filter((row) => row.method !== "random");
  const rows = every.filter((row) => group === "all" || methods.has(row.method));
  $$("gains-block").hidden = !every.length;
  if (!every.length) return;
  const via = (row) => (row.proxy ? label(row.proxy) : "no proxy");
  const asked = rows.filter((row) => row.proxy).sort((a, b) => a.relative_compute - b.relative_compute);
  const names = [...new Set([...rows.filter((row) => !row.proxy).map(via), ...asked.map(via)])];
  const kinds = [...new Set(rows.map((row) => `${label(row.method)}, ${number(100 * row.fraction)}% of the candidates`))];
  const kind = (row) => kinds.indexOf(`${label(row.method)}, ${number(100 * row.fraction)}% of the candidates`);
  const shares = [...new Set(every.map((row) => row.fraction))], places = [...new Set(D.shapes.map((shape) => shape.color))];
  const drawn = kinds.map((_, i) => rows.find((row) => kind(row) === i)); // a shape a method, a colour a share, as in Figure 8
  const mark = (i) => ({ ...D.methods[drawn[i].method], color: places[shares.indexOf(drawn[i].fraction) % places.length] });
  $$("gains-note").textContent = `What ${label(D.trained)} gains on the test set that data was selected for, against random subsets of equal size (${D.unit}), with ${D.percent} intervals over seeds, by the proxy that was asked.${group === "all" ? "" : ` Shown are the methods that made distributions of ${groupName(group)}.`}`;
  const root = cleared("gains");
  if (!rows.length) lacking(root, `No method that made distributions of ${groupName(group)} selects here.`);
  legend(element(root, "div", { class: "legend whole" }), kinds.map((name, i) => [name, mark(i), false]));
  const forNone = rows.filter((row) => !row.selected_for); // a method that looks at no test set stands beside all
  for (const task of new Set(rows.map((row) => row.selected_for || row.measured_on))) {
    const mine = [...rows.filter((row) => row.selected_for === task), ...forNone].filter((row) => row.measured_on === task && known(row.gain));
    const series = kinds.map((_, i) => ({ mark: mark(i), points: mine.filter((row) => kind(row) === i).map((row) => ({ at: names.indexOf(via(row)), value: row.gain, low: row.gain_low, high: row.gain_high, open: !(row.gain_low > 0 || row.gain_high < 0), title: `${label(row.method)}, ${via(row)}`, lines: [`gain ${fixed(row.gain, 3)} ${interval(row.gain_low, row.gain_high, 3)}`, ...(known(row.overlap_with_reference) ? [`${fixed(100 * row.overlap_with_reference, 0)}% of what ${label(D.trained)} selects for itself`] : [])] })) }));
    const helps = mine.filter((row) => row.gain_low > 0).length, harms = mine.filter((row) => row.gain_high < 0).length;
    const does = (count, what) => `${count} ${what}${count === 1 ? "s" : ""}`;
    dots(root, { title: label(task), names, series, ylabel: `gain${axisUnit}`, xlabel: "proxy that was asked", summary: `Of ${mine.length} selection${mine.length === 1 ? "" : "s"} ${does(helps, "help")}, ${does(harms, "harm")}.` });
  }
  sortable($$("gains-table"), ["selected for", "method", "proxy", "share", "measured on", "gain", "overlap with the reference's own", "Spearman of scores"], rows.map((row) => [row.selected_for ? label(row.selected_for) : "no test set", label(row.method), via(row), { v: row.fraction, t: `${number(100 * row.fraction)}%` }, label(row.measured_on), withInterval({ value: row.gain, low: row.gain_low, high: row.gain_high }), row.overlap_with_reference, row.scores_spearman]), 3);
}
function drawComposition() {
  const among = new Set(members($$("choice-group").value)), group = $$("choice-group").value;
  const rows = D.composition.filter((row) => row.draw === 0 && (group === "all" || among.has(row.distribution)));
  $$("composition-block").hidden = !rows.length;
  if (!rows.length) return;
  const keys = Object.keys(rows[0]), other = (key) => key.startsWith("in:");
  const sources = keys.filter((key) => !other(key) && !["distribution", "draw", "examples", "different"].includes(key));
  const percent = (v) => ({ v, t: v === 0 ? "–" : v < 0.01 ? "< 1%" : `${fixed(100 * v, 0)}%` });
  sortable($$("composition"), ["distribution", "examples", "different ones", ...sources], rows.map((row) => [label(row.distribution), row.examples, row.different, ...sources.map((s) => percent(row[s]))]), 1, { whole: true });
  const others = keys.filter(other);
  $$("overlap-block").hidden = others.length < 2;
  sortable($$("overlap"), ["distribution", ...others.map((key) => label(key.slice(3)))], rows.map((row) => [label(row.distribution), ...others.map((key) => percent(row[key]))]), 1, { whole: true });
}
function startChoice() {
  const redraw = () => { drawPicks(); drawFollowing(); drawSignal(); drawMetrics(); drawEffects(); drawGains(); drawComposition(); };
  options($$("choice-group"), groups, "all", groupName, redraw);
  redraw();
}
