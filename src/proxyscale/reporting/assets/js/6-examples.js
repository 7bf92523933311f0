// --- Single examples
const BINS = 25;
function drawExamples() {
  const all = D.examples[chosen.task], root = cleared("example-chart"), values = all.r2[chosen.proxy];
  const some = all.ids.length < all.of ? `${all.ids.length} of ${all.of} examples are shown, evenly over the ranks of their R²` : `All ${all.of} examples are shown`;
  const summary = `R² of one example's ${lossWord(chosen.task)} over the distributions, proxy ${label(chosen.proxy)}; the median of all is ${fixed(all.median[chosen.proxy])}.`;
  $$("examples-note").textContent = `${summary} ${some}; a column is ${number(1 / BINS)} of R² wide, hollow points have an inverted order (r < 0). Choose a point for its losses${all.texts ? " and its text" : ""}.`;
  const heights = new Array(BINS).fill(0);
  const placed = values.map((v, i) => ({ v: known(v) ? Math.abs(v) : null, falls: v < 0, i })).filter((p) => known(p.v)).sort((a, b) => a.v - b.v).map((p) => {
    const bin = Math.min(BINS - 1, Math.floor(p.v * BINS));
    return { ...p, bin, row: heights[bin]++ };
  });
  const width = room(root, 620), tallest = Math.max(...heights, 1), r = Math.min(8, 190 / tallest, (width - 70) / BINS / 2), height = Math.max(150, tallest * 2 * r + 70);
  const svg = chart(root, width, height, summary);
  const { X } = axes(svg, { width, height, x: [0, 1], y: [0, (height - 54) / (2 * r)], yticks: ticks(0, tallest, 4).filter(Number.isInteger), xlabel: "R² of a single test example", ylabel: "examples" });
  for (const p of placed) {
    const dot = drawMark(svg, { color: 0, marker: "o", filled: !p.falls }, X((p.bin + 0.5) / BINS), height - 44 - r - 1 - p.row * 2 * r, r * 0.92);
    dot.classList.toggle("chosen", p.i === chosen.example);
    hint(dot, `example ${all.ids[p.i]}`, [signedR2(p.v, p.falls ? -1 : 1), ...(all.texts && all.texts[p.i][1] ? [all.texts[p.i][1].trim().slice(0, 90)] : [])]);
    const open = () => { chosen.example = p.i; svg.querySelectorAll(".chosen").forEach((node) => node.classList.remove("chosen")); dot.classList.add("chosen"); openExample(p.i); };
    dot.setAttribute("role", "button");
    dot.addEventListener("click", open);
    dot.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } });
  }
  oneStop(svg);
  if (placed.length) openExample(chosen.example === null ? placed[placed.length >> 1].i : chosen.example);
}
function openExample(i) {
  const all = D.examples[chosen.task], root = cleared("example-detail"), value = all.r2[chosen.proxy][i];
  const points = D.distributions.map((name, j) => {
    const [x, y] = [all.losses[chosen.proxy][j][i], all.losses[D.reference][j][i]];
    return known(x) && known(y) ? { x, y, name, look: look(name), title: label(name), lines: [`${label(chosen.proxy)}: ${number(x, 4)}`, `${label(D.reference)}: ${number(y, 4)}`] } : null;
  }).filter(Boolean);
  const told = known(value) ? signedR2(Math.abs(value), value) : "R² n/a";
  scatter(root, points, { title: `Example ${all.ids[i]}`, side: { text: told, alarm: value < 0 }, summary: `${told}, ${leverage(points.length, leftOut(points))}`, what: lossWord(chosen.task) });
  if (!all.texts) return;
  const [prompt, scored, cut] = all.texts[i];
  const text = element(root, "pre", { dir: "auto" });
  if (cut) element(text, "em", {}, `[left out before this: ${cut}] `);
  text.appendChild(document.createTextNode(prompt));
  element(text, "mark", { title: "the scored text" }, scored);
}
function startExamples() {
  const tasks = Object.keys(D.examples);
  chosen.task = tasks[0];
  options($$("example-task"), tasks, chosen.task, label, (value) => { chosen.task = value; chosen.example = null; drawExamples(); });
}
