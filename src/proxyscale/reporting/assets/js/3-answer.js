// --- The verdict's table: test sets by scales, cheap to dear; what passes at every larger scale too is trusted
const KINDS = {
  decisions: { told: (v) => `${fixed(100 * v, 0)}%`, side: "above", above: true, what: "of pairs ordered right" },
  regret: { told: (v) => number(v), side: "below", above: false, what: "expected regret" },
  compute: { told: times, side: "below", above: false, what: "the compute that makes up for the regret" },
};
function drawLadder() {
  const { kind, ladders } = D.trust, level = +$$("level").value, told = KINDS[kind], rows = ladders[$$("ladder-group").value || "all"] || [];
  const passes = (cell) => known(cell.bound) && (told.above ? cell.bound > level : cell.bound < level);
  $$("level-told").textContent = `${told.told(level)} ${told.what}`;
  const root = cleared("ladder"), scroll = element(root, "div", { class: "scroll" }), grid = element(scroll, "table");
  const head = element(element(grid, "thead"), "tr"), body = element(grid, "tbody"), answers = [];
  element(head, "th", { class: "text", scope: "col" }, "test set");
  for (const { scale } of rows.length ? rows[0].scales : []) {
    const th = element(head, "th", { scope: "col", class: long(label(scale)) });
    element(th, "bdi", {}, label(scale));
    element(th, "small", {}, D.ratios[scale] ? cheaper(D.ratios[scale]) : "");
  }
  for (const { task, scales } of rows) {
    const tr = element(body, "tr");
    element(element(tr, "th", { class: `text ${long(label(task))}`.trim(), scope: "row" }), "bdi", {}, label(task));
    const trusted = scales.map((_, i) => scales.slice(i).every(passes)); // at this and at every larger one
    answers.push([label(task), scales.find((_, i) => trusted[i])]);
    scales.forEach((cell, i) => {
      const bound = known(cell.bound) ? told.told(cell.bound) : "n/a";
      const td = element(tr, "td", { class: trusted[i] ? "trusted" : passes(cell) ? "alone" : "" }, `${trusted[i] ? "✓ " : ""}${told.side} ${bound}`);
      element(td, "small", {}, known(cell.value) ? `estimate ${told.told(cell.value)}` : "cannot be told");
      if (passes(cell) && !trusted[i]) element(td, "small", {}, "but a larger scale fails");
    });
  }
  scrolls(root, scroll);
  const each = answers.map(([task, cell]) => `${task}: ${cell ? label(cell.scale) : "none"}`);
  $$("ladder-words").textContent = `The cheapest scale known to keep this level${level === D.trust.level ? ", the study's own" : ""}: ${each.join("; ")}.`;
}
function startAnswer() {
  if (!Object.keys(D.trust.ladders).length) return;
  $$("ladder-block").hidden = false;
  Object.assign($$("level"), { min: D.trust.range[0], max: D.trust.range[1], step: D.trust.range[2] });
  $$("level").value = D.trust.level;
  $$("level").addEventListener("input", drawLadder);
  options($$("ladder-group"), Object.keys(D.trust.ladders), "all", groupName, drawLadder);
  $$("ladder-note").textContent = D.trust.note;
  drawLadder();
}
