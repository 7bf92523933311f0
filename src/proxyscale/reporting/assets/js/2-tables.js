// --- Tables that sort. A cell is a text, a number, or { v: what sorts, t: what is shown, c: its class }.
const MOST_ROWS = 1000; // others are searched
const MOST_TOGETHER = 15; // that a page of paper keeps together
const shownCell = (value) => (!known(value) ? "" : typeof value === "object" ? value.t : typeof value === "number" ? number(value) : value);
const sortKey = (value) => (known(value) && typeof value === "object" ? value.v : value);
// Columns in which every row says the same become a sentence.
function constants(columns, rows) {
  if (rows.length < 3) return [];
  return columns.map((name, i) => [name, i]).filter(([, i]) => rows.every((row) => shownCell(row[i]) === shownCell(rows[0][i])));
}
// A word is broken only if it is longer than this.
const long = (text) => (/\S{17}/.test(text) ? "long" : "");
// Whether a column holds words alone.
const wordy = (rows, i) => rows.some((row) => typeof row[i] === "string" && row[i].length > 1) && rows.every((row) => !known(row[i]) || typeof row[i] === "string");
function sortable(root, columns, rows, texts, { caption, whole } = {}) {
  root.textContent = "";
  root.classList.toggle("short", rows.length <= MOST_TOGETHER);
  if (caption) element(root, "h4", {}, caption);
  const same = whole ? [] : constants(columns, rows).filter(([, i]) => i > 0);
  const kept = columns.map((_, i) => i).filter((i) => !same.some(([, j]) => j === i));
  const empty = (v) => !known(v) || v === "";
  const told = same.filter(([, i]) => !empty(shownCell(rows[0][i]))).map(([name, i]) => `${name} ${shownCell(rows[0][i])}`);
  if (told.length) element(root, "p", { class: "note" }, `${kept.length > 1 ? "In every row" : `All ${rows.length}`}: ${told.join("; ")}.`);
  if (told.length && kept.length === 1) return;
  const words = columns.map((_, i) => i < texts || wordy(rows, i)), prose = columns.map((_, i) => rows.some((row) => String(shownCell(row[i])).length > 40));
  const scroll = element(root, "div", { class: "scroll" }), grid = element(scroll, "table");
  const head = element(element(grid, "thead"), "tr"), body = element(grid, "tbody");
  const fill = () => {
    body.textContent = "";
    for (const row of rows.slice(0, MOST_ROWS)) {
      const tr = element(body, "tr");
      for (const i of kept) {
        const text = shownCell(row[i]), classes = [words[i] && "text", prose[i] && "prose", long(text), known(row[i]) && row[i].c];
        element(element(tr, "td", { class: classes.filter(Boolean).join(" ") }), "bdi", {}, text);
      }
    }
  };
  for (const i of kept) {
    const th = element(head, "th", { class: `${words[i] ? "text" : ""} ${long(columns[i])}`.trim(), scope: "col" });
    element(th, "button", { type: "button" }, columns[i]).addEventListener("click", () => {
      const up = th.getAttribute("aria-sort") !== "ascending";
      head.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
      rows.sort((a, b) => empty(sortKey(a[i])) - empty(sortKey(b[i])) || (up ? 1 : -1) * order(sortKey(a[i]), sortKey(b[i])));
      fill();
    });
  }
  fill();
  if (rows.length > MOST_ROWS) element(root, "p", { class: "note" }, `${MOST_ROWS} of ${rows.length} rows are shown: search for others, or sort them.`);
  scrolls(root, scroll);
}
// What is wider than the page says so, and can be reached by the keyboard.
function scrolls(root, scroll) {
  const said = element(root, "p", { class: "scrolls", hidden: "" }, "This table is wider than the page: it scrolls sideways →");
  root.insertBefore(said, scroll);
  const look = () => {
    const wide = scroll.scrollWidth > scroll.clientWidth + 1;
    said.hidden = !wide;
    wide ? scroll.setAttribute("tabindex", "0") : scroll.removeAttribute("tabindex");
  };
  new ResizeObserver(look).observe(scroll);
  look();
}
const withInterval = (row, digits = 3) => (row && known(row.value) ? { v: row.value, t: `${number(row.value, digits)}${known(row.low) && known(row.high) ? ` [${number(row.low, digits)}, ${number(row.high, digits)}]` : ""}` } : null);
const MOST_COMPUTE = 100; // times; a power law between two scales says no more than "more" beyond
const times = (value) => (!known(value) ? "n/a" : value > MOST_COMPUTE ? `> ${MOST_COMPUTE}×` : `${number(value)}×`);
const asCompute = (row) => (row && known(row.value) ? { v: row.value, t: known(row.low) && known(row.high) ? `${times(row.value)} [${times(row.low)}, ${times(row.high)}]` : times(row.value) } : null);

function drawStatistics() {
  const words = $$("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = D.statistics.map(([statistic, group, task, proxy, ...numbers]) => [statisticName(statistic), known(task) ? label(task) : "", known(proxy) ? predictorName(proxy) : "", group, ...numbers]);
  const kept = rows.filter((row) => words.every((word) => row.slice(0, 4).join(" ").toLowerCase().includes(word)));
  sortable($$("statistics-table"), ["statistic", "test set", "proxy", D.attribution ? "method" : "among", "value", "low", "high", "ceiling", "n", "which", "unit"], kept, 4);
}
function directions() {
  if (D.notes.length || D.tasks.every((t) => t.better === "lower")) return []; // notes tell them
  const words = { lower: "lower is better", higher: "higher is better", unknown: "not known which values are better" };
  return Object.entries(words).map(([way, told]) => [told, D.tasks.filter((t) => t.better === way).map((t) => label(t.name))]).filter(([, names]) => names.length).map(([told, names]) => `${told}: ${names.join(", ")}`);
}
function drawCosts() {
  const cost = (c) => [label(c.scale), c.parameters, c.tokens, c.flops, c.scale === D.reference ? "reference" : c.ratio && { v: c.ratio, t: cheaper(c.ratio) }, c.runs, c.seconds, c.total_seconds];
  sortable($$("costs-table"), ["scale", "parameters", D.attribution ? "images seen" : "tokens", "FLOPs, one run", "compute", "runs", "seconds of training, one run", "seconds of training, all runs"], D.costs.map(cost), 1);
}
// What is right without a model, and with one: a model knows something above the best of the rules.
function drawGuesses() {
  $$("guesses-block").hidden = !D.guesses.length;
  const rules = [...new Set(D.guesses.map((g) => Object.keys(g.rules)).sort((a, b) => b.length - a.length).flat())], scales = [...D.proxies, D.reference];
  const percent = (v, c) => (known(v) ? { v, t: `${fixed(100 * v, 1)}%`, c } : null);
  const rows = D.guesses.map((g) => {
    const best = Math.max(...Object.values(g.rules));
    return [label(g.task), ...rules.map((r) => percent(g.rules[r], g.rules[r] === best ? "right" : "")), ...scales.map((s) => percent(g.scales[s], g.scales[s] > best ? "right" : ""))];
  });
  sortable($$("guesses-table"), ["test set", ...rules, ...scales.map(label)], rows, 1, { whole: true });
}
function drawData() {
  const roots = { distributions: $$("distributions-table"), sources: $$("sources-table"), tasks: $$("tasks-table") };
  const epochs = D.distributions.filter((d) => known(D.epochs[d]));
  if (epochs.length) sortable(roots.distributions, ["distribution", "epochs, at most"], epochs.map((d) => [label(d), D.epochs[d]]), 1, { caption: "Training distributions" });
  const { sources, tasks } = D.material;
  if (sources.length) sortable(roots.sources, ["source", "records read", "documents kept", "rows"], sources.map((s) => [s.source, s.read, s.kept, s.rows]), 1, { caption: "Pool" });
  $$("overlap-note").hidden = !tasks.length;
  if (tasks.length) sortable(roots.tasks, ["test set", "kind", "split", "records", "items", "kept", "in the pool", "context in the pool", "on the other side", "cut", "evidence lost"], tasks.map((t) => [label(t.task), t.kind, t.split, t.records, t.items, t.kept, t.in_pool, t.context_in_pool, t.in_holdout, t.cut, t.lost]), 3, { caption: "Test sets" });
  const dropped = [...sources.map((s) => [s.source, "pool", s.dropped, ""]), ...tasks.map((t) => [label(t.task), t.split, t.dropped, t.found_in])].filter((row) => row[2]);
  $$("dropped-block").hidden = !dropped.length;
  sortable($$("dropped-table"), ["of", "part", "dropped", "where those of the pool stand"], dropped, 4);
  drawGuesses();
  const beware = tasks.filter((t) => t.prior && t.split === "holdout").map((t) => `${label(t.task)}: ${t.prior}`);
  for (const line of [...D.notes, ...D.partners, ...beware, ...directions()]) element($$("reading"), "li", {}, line);
}
