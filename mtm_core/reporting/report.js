// Draws the figures in the colours of the page, light or dark, and in light ones on paper.
const figures = JSON.parse(document.getElementById("figures").textContent);
const ink = () => getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
const ids = figures.map((_, i) => `figure-${i}`);
figures.forEach((figure, i) => {
  figure.layout.font = { ...figure.layout.font, color: ink() };
  Plotly.newPlot(ids[i], figure.data, figure.layout, {
    displaylogo: false,
    responsive: true,
    toImageButtonOptions: { format: "svg", filename: ids[i] },
  });
});
const recolour = (colour) => ids.forEach((id) => Plotly.relayout(id, { "font.color": colour }));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => recolour(ink()));
addEventListener("beforeprint", () => recolour("#1C2733"));
addEventListener("afterprint", () => recolour(ink()));
