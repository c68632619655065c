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
    // Two pictures over one time: a day's sum and the total differ too much for one scale.
    axisPointer: { link: [{ xAxisIndex: "all" }] },
    grid: [
      { left: 12, right: 16, top: 52, height: "40%", containLabel: true },
      { left: 12, right: 16, top: "60%", bottom: 60, containLabel: true },
    ],
    xAxis: [0, 1].map((gridIndex) => ({ gridIndex, type: "time", axisLabel: { show: gridIndex === 1, fontSize: size, hideOverlap: true, formatter: "{yyyy}-{MM}-{dd}" } })),
    yAxis: [0, 1].map((gridIndex) => ({ gridIndex, type: "value", splitNumber: 3, axisLabel: { fontSize: size, formatter: (fen) => (fen / 100).toLocaleString("en") } })),
    dataZoom: [{ type: "inside", xAxisIndex: [0, 1] }, { type: "slider", xAxisIndex: [0, 1], bottom: 12, height: 28 }],
    series: [
      { name: daily, type: "bar", data: rows, barMaxWidth: 18 },
      { name: total, type: "line", xAxisIndex: 1, yAxisIndex: 1, data: sums, showSymbol: false },
    ],
  });
  addEventListener("resize", () => chart.resize());
})();
