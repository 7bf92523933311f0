// --- The page: what is there is started
const there = (id) => $$(id) !== null;
document.querySelectorAll("[data-groups]").forEach((node) => (node.hidden = groups.length < 2));
if (D.trust) startAnswer();
if (there("choice")) startChoice();
if (there("examples")) startExamples();
if (there("figures")) startFigures();
if (there("attribution")) startAttribution();
if (there("data-counts")) drawData();
$$("find").addEventListener("input", drawStatistics);
drawStatistics();
drawCosts();
let width = innerWidth, waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    if (innerWidth === width) return;
    width = innerWidth;
    if (there("figures")) drawFigures();
    if (there("attribution")) drawAttribution();
  }, 150);
});
