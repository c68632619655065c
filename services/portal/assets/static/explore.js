// Draws the table of the page as a chart that can be zoomed and read by day.
// The table stays: without this script nothing is missing but the drawing.
(() => {
  const table = document.getElementById("days");
  const box = document.getElementById("chart");
  if (!table || !box || !window.echarts) return;
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const rows = [...table.tBodies[0].rows].map((r) => [r.cells[0].textContent.trim(), Number(r.cells[1].dataset.fen)]).reverse();
  if (rows.length === 0) return;
  box.hidden = false;
  const { daily, total } = box.dataset;
  let sum = 0;
  const sums = rows.map(([day, fen]) => [day, (sum += fen)]);
  const yuan = (fen) => (fen / 100).toLocaleString("en", { minimumFractionDigits: 2 });
  const elder = document.documentElement.classList.contains("elder");
  const size = elder ? 20 : 13;
  const chart = echarts.init(box, null, { renderer: "canvas" });
  chart.setOption({
    animation: false,
    textStyle: { fontFamily: style.fontFamily, fontSize: size },
    color: [colour("--actual"), colour("--seal")],
    // Drawn on the canvas: a tooltip of HTML would need inline style.
    tooltip: { trigger: "axis", renderMode: "richText", confine: true, valueFormatter: yuan },
    legend: { top: 8, textStyle: { fontSize: size } },
    grid: { left: 12, right: 12, top: 56, bottom: 64, containLabel: true },
    xAxis: { type: "time", axisLabel: { fontSize: size, hideOverlap: true } },
    yAxis: [
      { type: "value", axisLabel: { fontSize: size, formatter: (fen) => (fen / 100).toLocaleString("en") } },
      { type: "value", splitLine: { show: false }, axisLabel: { show: false } },
    ],
    dataZoom: [{ type: "inside" }, { type: "slider", bottom: 12, height: 28 }],
    series: [
      { name: daily, type: "bar", data: rows, barMaxWidth: 18 },
      { name: total, type: "line", yAxisIndex: 1, data: sums, showSymbol: false },
    ],
  });
  addEventListener("resize", () => chart.resize());
})();
