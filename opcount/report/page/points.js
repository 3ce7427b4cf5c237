"use strict";
// Places and order use floating point; what is shown is the text that came with the page. Names are set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const WIDTH = 900, HEIGHT = 460, EDGE = { left: 80, right: 20, top: 14, bottom: 46 }, MOST_ROWS = 500, MOST_COLOURS = 8;
  const column = new Map(data.columns.map((name, place) => [name, place]));
  const value = (row, name) => {  // figures are digits, so that none is rounded before it is shown
    const cell = row[column.get(name)];
    if (cell === null || cell === "") return NaN;
    return typeof cell === "string" && !data.figures.includes(name) ? NaN : Number(cell);
  };
  const shown = (name, cell) => {
    if (cell === null) return "–";
    return data.figures.includes(name) ? BigInt(cell).toLocaleString("en-US") : String(cell);
  };

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  const numeric = data.columns.filter((name) => data.rows.some((row) => Number.isFinite(value(row, name))));
  const kinds = data.points.filter((name) => new Set(data.rows.map((row) => String(row[column.get(name)]))).size <= MOST_COLOURS);
  for (const [axis, start] of [["x", data.x], ["y", data.y]]) {
    $(axis).append(...numeric.map((name) => element("option", { value: name, textContent: name, selected: name === start })));
    $(`${axis}-most`).checked = data.most.includes(start);
  }
  $("colour").append(element("option", { value: "", textContent: "none" }),
    ...kinds.map((name) => element("option", { value: name, textContent: name })));
  $("about").textContent = data.about;

  function front(points, xMost, yMost) {  // as opcount's own: none is as good in both and better in one
    const [a, b] = [xMost ? -1 : 1, yMost ? -1 : 1];
    const sorted = [...points].sort((p, q) => a * (p.x - q.x) || b * (p.y - q.y));
    const best = [];
    let lowest = Infinity, at = null;
    for (const point of sorted) {
      const height = b * point.y;
      if (height < lowest || (at && height === lowest && point.x === at.x)) { best.push(point); lowest = height; at = point; }
    }
    return best;
  }

  let chosen = null, state = null;

  function scale(values, log, range) {
    let [low, high] = d3.extent(values);
    if (low === high) { low = log ? low / 2 : low - 1; high = log ? high * 2 : high + 1; }
    return (log ? d3.scaleLog() : d3.scaleLinear()).domain([low, high]).range(range).nice();
  }

  function draw() {
    const [x, y] = [$("x").value, $("y").value];
    let points = data.rows.map((row, index) => ({ row, index, x: value(row, x), y: value(row, y) }));
    points = points.filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y));
    for (const axis of ["x", "y"]) {
      const possible = points.every((point) => point[axis] > 0);
      $(`${axis}-log`).disabled = !possible;
      if (!possible) $(`${axis}-log`).checked = false;
    }
    const best = front(points, $("x-most").checked, $("y-most").checked);
    state = { best: new Set(best.map((point) => point.index)) };
    const svg = d3.select("#plot").attr("viewBox", `0 0 ${WIDTH} ${HEIGHT}`).style("width", "100%").style("height", "auto");
    svg.selectAll("*").remove();
    if (points.length) paint(svg, points, best, x, y);
    const are = best.length === 1 ? "is" : "are";
    $("told").textContent = points.length ? `${best.length.toLocaleString("en-US")} of ${pointsOf(points.length)} ${are} on the front.` : "No point has a number in both columns.";
    list();
  }

  function paint(svg, points, best, x, y) {
    const across = scale(points.map((point) => point.x), $("x-log").checked, [EDGE.left, WIDTH - EDGE.right]);
    const up = scale(points.map((point) => point.y), $("y-log").checked, [HEIGHT - EDGE.bottom, EDGE.top]);
    const axis = (call, move) => svg.append("g").attr("transform", move).call(call).attr("color", "var(--quiet)");
    axis(d3.axisBottom(across).ticks(8, "~s"), `translate(0,${HEIGHT - EDGE.bottom})`);
    axis(d3.axisLeft(up).ticks(8, "~s"), `translate(${EDGE.left},0)`);
    const label = (text, place, move) => svg.append("text").text(text).attr("fill", "var(--text)").attr("font-size", 13).attr("text-anchor", place).attr("transform", move);
    label(x, "middle", `translate(${WIDTH / 2},${HEIGHT - 8})`);
    label(y, "middle", `translate(16,${HEIGHT / 2}) rotate(-90)`);
    const kind = $("colour").value;
    const words = kind ? [...new Set(data.rows.map((row) => String(row[column.get(kind)])))].sort() : [];
    const fill = (point) => kind ? `var(--c${words.indexOf(String(point.row[column.get(kind)])) % MOST_COLOURS})` : "var(--c0)";
    $("legend").replaceChildren(...words.map((word, place) => {
      const mark = element("i", {});
      mark.style.background = `var(--c${place % MOST_COLOURS})`;
      return element("li", {}, mark, `${kind} ${word}`);
    }));
    svg.append("path").attr("d", d3.line().x((point) => across(point.x)).y((point) => up(point.y))(best)).attr("fill", "none").attr("stroke", "var(--accent)").attr("stroke-width", 1.5);
    svg.append("g").selectAll("circle").data(points).enter().append("circle")
      .attr("cx", (point) => across(point.x)).attr("cy", (point) => up(point.y))
      .attr("r", (point) => (point.index === chosen ? 8 : state.best.has(point.index) ? 5 : 3.5))
      .attr("fill", fill).attr("stroke", (point) => (state.best.has(point.index) || point.index === chosen ? "var(--accent)" : "none"))
      .each(function (point) {  // their own listeners: what d3 hands to a listener differs between its versions
        this.addEventListener("mouseenter", () => tell(point.row));
        this.addEventListener("click", () => { chosen = point.index; draw(); tell(point.row); });
      });
  }

  function tell(row) {
    const parts = [...data.points, $("x").value, $("y").value].map((name) => `${name} ${shown(name, row[column.get(name)])}`);
    $("told").textContent = [...new Set(parts)].join(" · ");
  }

  const pointsOf = (count) => `${count.toLocaleString("en-US")} ${count === 1 ? "point" : "points"}`;

  let order = null, descending = false;

  function list() {
    const wanted = $("search").value.trim().toLowerCase();
    let rows = data.rows.map((row, index) => ({ row, index }));
    if ($("best").checked) rows = rows.filter(({ index }) => state.best.has(index));
    if (wanted) rows = rows.filter(({ row }) => row.some((cell) => cell !== null && String(cell).toLowerCase().includes(wanted)));
    if (order !== null) {
      const place = column.get(order), sign = descending ? -1 : 1;
      rows.sort((one, other) => {
        const [a, b] = [one.row[place], other.row[place]];
        if (a === null || b === null) return (a === null) - (b === null);
        const [p, q] = [value(one.row, order), value(other.row, order)];
        return sign * (Number.isNaN(p) || Number.isNaN(q) ? String(a).localeCompare(String(b)) : p - q);
      });
    }
    $("count").textContent = `${pointsOf(rows.length)}${rows.length > MOST_ROWS ? `, the first ${MOST_ROWS} are listed` : ""}`;
    const word = (name) => (numeric.includes(name) ? "" : "word");
    $("table").tHead.replaceChildren(element("tr", {}, ...data.columns.map((name) => {
      const button = element("button", { type: "button", textContent: name });
      button.onclick = () => { descending = order === name ? !descending : numeric.includes(name); order = name; list(); };
      const head = element("th", { className: word(name), scope: "col" }, button);
      if (order === name) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      return head;
    })));
    $("table").tBodies[0].replaceChildren(...rows.slice(0, MOST_ROWS).map(({ row, index }) => {
      const line = element("tr", { className: index === chosen ? "chosen" : "" }, ...data.columns.map((name, place) =>
        element("td", { className: word(name), textContent: shown(name, row[place]) })));
      line.onclick = () => { chosen = index; tell(row); draw(); tell(row); };
      return line;
    }));
  }

  for (const id of ["x", "y", "x-log", "y-log", "x-most", "y-most", "colour"]) $(id).onchange = draw;
  for (const id of ["search", "best"]) $(id).oninput = list;
  const wide = (name) => { const found = data.rows.map((row) => value(row, name)).filter(Number.isFinite); return found.length && Math.min(...found.slice(0, 10000)) > 0 && d3.max(found) / d3.min(found) >= 20; };
  for (const axis of ["x", "y"]) $(`${axis}-log`).checked = wide($(axis).value);
  draw();
})();
