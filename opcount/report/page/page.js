"use strict";
// Counts are BigInt throughout, so that none is rounded; only widths are floating point. Names are set as text, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const FIGURES = ["total", ...data.figures, "params"];
  const SHORT = { total: "operations", macs: "MACs", params: "parameters" };
  const named = (figure) => SHORT[figure] || figure;
  const digits = (count) => count.toLocaleString("en-US");
  const ROW = 36, FIRST_ROWS = 120;

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  function ratio(part, whole) {  // of whole numbers of any size, as a fraction from 0 to 1
    return whole > 0n ? Number(part * 1000000000n / whole) / 1e9 : 0;
  }

  function percent(part, whole) {
    if (whole <= 0n) return "–";
    const tenths = (2000n * part + whole) / (2n * whole);
    if (part > 0n && tenths === 0n) return "<0.1 %";
    return part === whole ? "100 %" : `${tenths / 10n}.${tenths % 10n} %`;
  }

  function apportion(rows, whole) {  // shares in tenths of a percent, so rounded that those of all rows sum to 100.0
    if (whole <= 0n) return;
    let missing = 1000n;
    for (const node of rows) { node.tenths = 1000n * node.own.total / whole; missing -= node.tenths; }
    const rest = (node) => 1000n * node.own.total % whole;
    const ranked = [...rows].sort((a, b) => (rest(a) < rest(b) ? 1 : rest(a) > rest(b) ? -1 : 0));
    for (const node of ranked.slice(0, Number(missing))) node.tenths += 1n;
  }

  // The models: nodes with their own figures, and with those of everything below

  const models = data.models.map((model) => {
    const nodes = model.layers.map(([parent, name, type, output, calls, params, ...rest], index) => {
      const missing = rest.pop();
      const own = { params: BigInt(params) };
      data.figures.forEach((figure, place) => { own[figure] = BigInt(rest[place]); });
      own.total = own.multiplications + own.additions;
      return { index, parent, name, type, output, calls, own, missing: missing > 0, children: [], below: { ...own } };
    });
    for (const node of nodes) {
      const above = nodes[node.parent];
      node.path = above && above.path ? `${above.path}.${node.name}` : node.name;
      node.label = node.path || "(model)";
      if (above) above.children.push(node);
    }
    for (const node of [...nodes].reverse()) {
      const above = nodes[node.parent];
      if (above) for (const figure of FIGURES) above.below[figure] += node.below[figure];
    }
    const rows = nodes.filter((node) => FIGURES.some((figure) => node.own[figure] > 0n) || node.missing || (!node.children.length && node.calls));
    const costs = new Map();  // a container that mostly passes on has no colour
    for (const node of nodes) node.plain = node.children.length > 0 && node.own.total * 2n < node.below.total;
    for (const node of nodes) if (!node.plain) costs.set(node.type, (costs.get(node.type) || 0n) + node.own.total);
    apportion(rows, nodes.length ? nodes[0].below.total : 0n);
    const most = rows.reduce((sofar, node) => (node.own.total > sofar ? node.own.total : sofar), 0n);
    const ranked = [...costs].filter(([type, cost]) => type && cost > 0n).sort((a, b) => (a[1] < b[1] ? 1 : a[1] > b[1] ? -1 : 0));
    const colours = new Map(ranked.slice(0, 7).map(([type], place) => [type, `var(--c${place})`]));
    return { ...model, nodes, rows, most, colours, types: ranked, root: nodes[0] };
  });
  let model = models[0], figure = "total", focus = model.root;

  // Cards: a model each, with its totals

  function card(each) {
    const most = models.map((other) => other.root.below.total).reduce((a, b) => (a > b ? a : b), 0n);
    const list = element("dl", {});
    for (const name of ["total", "macs", "multiplications", "additions", "params"]) {
      const change = each === models[0] ? null : difference(models[0].root.below[name], each.root.below[name]);
      list.append(element("div", {}, element("dt", { textContent: named(name) }),
        element("dd", { title: digits(each.root.below[name]) }, digits(each.root.below[name]), change)));
    }
    const gauge = element("div", { className: "gauge" });
    gauge.style.width = `${100 * ratio(each.root.below.total, most)}%`;
    return element("div", { className: "card" },
      models.length > 1 ? element("h2", { textContent: each.name }) : null,
      element("p", { className: "quiet", textContent: each.about.join(" · ") }),
      each.complete ? null : element("p", { className: "warn", textContent: "Not everything was counted: a lower bound" }),
      list, models.length > 1 ? gauge : null);
  }

  function difference(before, after) {
    if (before === after || before === 0n) return null;
    const hundredths = ((after - before) * 20000n / before + (after < before ? -1n : 1n)) / 2n;
    const size = hundredths < 0n ? -hundredths : hundredths;
    const text = `${after < before ? "-" : "+"}${digits(size / 100n)}.${String(size % 100n).padStart(2, "0")}\u00a0%`;
    return element("small", { className: after < before ? "less" : "more", textContent: text });
  }

  // The icicle

  const inside = (node, above) => { while (node && node !== above) node = model.nodes[node.parent]; return node === above; };
  const chain = (node) => { const list = []; for (; node; node = model.nodes[node.parent]) list.unshift(node); return list; };
  let layout = null, active = null;

  function lay() {  // d3 divides the width; fractions of the whole, because it counts in floating point
    const whole = model.root.below[figure];
    layout = d3.hierarchy(model.root, (node) => node.children).sum((node) => ratio(node.own[figure], whole));
    d3.partition()(layout);
    layout.each((place) => { place.data.place = place; });
  }

  function draw() {
    const room = $("icicle").clientWidth || 1000, at = focus.place, span = at.x1 - at.x0 || 1;
    const x = d3.scaleLinear().domain([at.x0, at.x0 + span]).range([0, 100]);
    const shown = [];
    const stack = [layout];
    while (stack.length) {
      const place = stack.pop();
      const width = (Math.min(x(place.x1), 100) - Math.max(x(place.x0), 0)) / 100 * room;
      const above = inside(focus, place.data);
      if (!above && (width < 1.5 || !inside(place.data, focus))) continue;
      shown.push({ node: place.data, place, width: above ? room : width, above: above && place.data !== focus });
      if (place.children) stack.push(...[...place.children].reverse());
    }
    const deepest = d3.max(shown, (cell) => cell.place.depth) + 1;
    $("icicle").style.height = `${deepest * ROW}px`;
    const known = d3.select("#icicle").selectAll("button").data(shown, (cell) => cell.node.index);
    known.exit().remove();
    known.enter().append("button").attr("type", "button").on("click", function () { press(d3.select(this).datum().node); })
      .merge(known).order()
      .attr("class", (cell) => `cell${cell.above ? " above" : ""}${cell.width < 16 ? " thin" : ""}`)
      .style("left", (cell) => `${cell.above ? 0 : Math.max(x(cell.place.x0), 0)}%`)
      .style("width", (cell) => `${100 * cell.width / room}%`)
      .style("top", (cell) => `${cell.place.depth * ROW}px`)
      .each(function (cell) { paint(this, cell); });
    active = shown.some((cell) => cell.node === active) ? active : focus;
    d3.select("#icicle").selectAll("button").attr("tabindex", (cell) => (cell.node === active ? 0 : -1));
    trail();
  }

  function paint(button, { node, width }) {
    const colour = node.plain ? "var(--box)" : model.colours.get(node.type) || "var(--c7)";
    button.style.background = colour;
    button.style.setProperty("--shade", colour);
    button.textContent = width < 30 ? "" : node.name || model.label;
    const words = `${node.label}${node.type ? `, ${node.type}` : ""}: ${digits(node.below[figure])} ${named(figure)}, ${percent(node.below[figure], model.root.below[figure])}`;
    button.title = words;
    button.setAttribute("aria-label", words);
  }

  const press = (node) => zoom(node === focus && node.parent >= 0 ? model.nodes[node.parent] : node);

  function zoom(node) {
    focus = node;
    active = node;
    draw();
    fill();
    $("told").textContent = `${node.label}: ${digits(node.below[figure])} ${named(figure)}, ${percent(node.below[figure], model.root.below[figure])} of ${model.name}`;
  }

  function trail() {
    const steps = chain(focus).map((node) => element("button", { type: "button", textContent: node.name || model.label, onclick: () => zoom(node) }));
    steps[steps.length - 1].setAttribute("aria-current", "true");
    $("trail").replaceChildren(...steps.flatMap((step, place) => (place ? [" › ", step] : [step])));
    $("out").disabled = focus.parent < 0;
  }

  $("icicle").addEventListener("keydown", (event) => {
    const cells = d3.select("#icicle").selectAll("button").data().map((cell) => cell.node);
    const beside = (step) => {
      const same = cells.filter((node) => node.place.depth === active.place.depth);
      return same[same.indexOf(active) + step];
    };
    const go = {
      ArrowLeft: () => beside(-1), ArrowRight: () => beside(1), Home: () => cells[0],
      ArrowUp: () => model.nodes[active.parent], ArrowDown: () => active.children.find((node) => cells.includes(node)),
    }[event.key];
    if (event.key === "Escape" && focus.parent >= 0) zoom(model.nodes[focus.parent]);
    else if (go) active = go() || active;
    else return;
    event.preventDefault();
    d3.select("#icicle").selectAll("button").attr("tabindex", (cell) => (cell.node === active ? 0 : -1))
      .filter((cell) => cell.node === active).each(function () { this.focus(); });
  });

  function legend() {
    const entries = [...model.colours].map(([type, colour]) => [type, colour]);
    if (model.types.length > entries.length) entries.push([`${model.types.length - entries.length} more types`, "var(--c7)"]);
    $("legend").replaceChildren(...entries.map(([type, colour]) => {
      const sample = element("i", {});
      sample.style.background = colour;
      return element("li", {}, sample, type);
    }));
  }

  // The table of layers

  const COLUMNS = [
    ["layer", (node) => node.label], ["type", (node) => node.type], ["output", (node) => node.output],
    ["share", (node) => node.own.total],
    ...["total", "multiplications", "additions", "macs", "params"].map((name) => [name, (node) => node.own[name]]),
    ["calls", (node) => BigInt(node.calls)],
    ...["divisions", "comparisons", "transcendentals"].map((name) => [name, (node) => node.own[name]]),
  ];
  const words = new Intl.Collator("en", { numeric: true });
  let order = { column: -1, down: false }, waiting = 0;

  function row(node) {
    if (node.row) return node.row;
    const link = element("button", { type: "button", textContent: node.label, title: "Zoom to this layer", onclick: () => { zoom(node); $("map").scrollIntoView({ block: "nearest" }); } });
    const cells = [element("td", { className: "word" }, link), element("td", { className: "word", textContent: node.type }),
      element("td", { className: "word", textContent: node.output })];
    for (const [name, value] of COLUMNS.slice(3)) {
      const count = value(node);
      cells.push(name === "share" ? shared(node) : element("td", { textContent: digits(count), className: count ? "" : "zero" }));
    }
    node.row = element("tr", {}, ...cells);
    return node.row;
  }

  function shared(node) {
    const count = node.own.total, exact = percent(count, model.root.below.total);
    const text = node.tenths === undefined || count === model.root.below.total ? exact
      : count > 0n && node.tenths === 0n ? "<0.1 %" : `${node.tenths / 10n}.${node.tenths % 10n} %`;
    const meter = element("span", { className: "meter" }, element("i", {}));
    const share = ratio(count, model.most);
    meter.firstChild.style.width = `${100 * share}%`;
    meter.firstChild.hidden = !share;
    return element("td", {}, meter, element("span", { className: "percent", textContent: text }));
  }

  function chosen() {
    const wanted = $("search").value.trim().toLowerCase(), type = $("type").value, costly = $("costly").checked;
    const rows = model.rows.filter((node) => inside(node, focus) && (!type || node.type === type) && (!costly || node.own.total > 0n)
      && (!wanted || node.label.toLowerCase().includes(wanted) || node.type.toLowerCase().includes(wanted)));
    if (order.column < 0) return rows;
    const value = COLUMNS[order.column][1], sign = order.down ? -1 : 1;
    return rows.sort((one, two) => {
      const a = value(one), b = value(two);
      return sign * (typeof a === "string" ? words.compare(a, b) : a < b ? -1 : a > b ? 1 : 0);
    });
  }

  function fill() {  // the first rows at once, the others when there is time: a long table does not hold up the page
    const rows = chosen(), body = $("table").tBodies[0];
    const ticket = ++waiting;
    body.replaceChildren(...rows.slice(0, FIRST_ROWS).map(row));
    let done = Math.min(FIRST_ROWS, rows.length);
    const more = (end) => { body.append(...rows.slice(done, end).map(row)); done = end; };
    const later = () => {
      if (ticket !== waiting || done >= rows.length) return;
      more(done + 250);
      setTimeout(later);
    };
    if (done < rows.length) setTimeout(later, 30);
    finish = () => { waiting += 1; more(rows.length); };
    const sum = (value) => rows.reduce((sofar, node) => sofar + value(node), 0n);
    const sums = COLUMNS.slice(3).map(([name, value]) => element("td", { textContent: name === "share" ? percent(sum(value), model.root.below.total) : digits(sum(value)) }));
    const label = rows.length === model.rows.length ? "total" : "total of these";
    $("table").tFoot.replaceChildren(element("tr", {}, element("td", { className: "word", textContent: label }),
      element("td", {}), element("td", {}), ...sums));
    $("count").textContent = `${digits(rows.length)} of ${digits(model.rows.length)} rows`;
  }
  let finish = () => {};
  window.addEventListener("beforeprint", () => finish());

  function headers() {
    const cells = COLUMNS.map(([name], column) => {
      const button = element("button", { type: "button", textContent: named(name), onclick: () => sort(column) });
      const cell = element("th", { scope: "col", className: column < 3 ? "word" : "" }, button);
      cell.setAttribute("aria-sort", order.column !== column ? "none" : order.down ? "descending" : "ascending");
      return cell;
    });
    $("table").tHead.replaceChildren(element("tr", {}, ...cells));
  }

  function sort(column) {
    const again = order.column === column;
    order = { column, down: again ? !order.down : column > 2 };
    headers();
    fill();
    $("table").tHead.rows[0].cells[column].firstChild.focus();
  }

  // What changed between models

  const MARKS = { added: "+", removed: "−", changed: "±", same: "" };

  function changes() {
    const wanted = $("changes-figure").value, only = $("changes-only").checked;
    const titles = ["layer", "type", ...models.map((each) => each.label), ...models.slice(1).map((each) => (models.length > 2 ? `± ${each.label}` : "change"))];
    $("changes-table").tHead.replaceChildren(element("tr", {}, ...titles.map((title, place) => element("th", { scope: "col", className: place < 2 ? "word" : "", textContent: title }))));
    const line = (item) => {
      const [counts, percents] = item.cells[wanted];
      const mark = element("span", { className: "mark", textContent: MARKS[item.status] || "", title: item.status });
      const first = element("td", { className: "word", title: item.path }, mark, element("span", { className: "name", textContent: item.name }));
      first.style.paddingLeft = `${0.7 + 1.1 * item.level}rem`;
      if (mark.textContent) { mark.setAttribute("role", "img"); mark.setAttribute("aria-label", item.status); }
      const lost = percents.map((text, place) => (counts[0] !== null && counts[place + 1] === null ? "gone" : counts[0] === counts[place + 1] ? "=" : text));
      return element("tr", { className: item.status }, first, element("td", { className: "word", textContent: item.type }),
        ...counts.map((count) => element("td", { textContent: count === null ? "–" : digits(BigInt(count)) })),
        ...lost.map((text) => element("td", { textContent: text, className: /^[-−]|gone/.test(text) ? "less" : /^[+]|new/.test(text) ? "more" : "zero" })));
    };
    const rows = data.changes.rows.filter((item) => !only || item.status !== "same");
    $("changes-table").tBodies[0].replaceChildren(...rows.map(line));
    $("changes-table").tFoot.replaceChildren(line({ cells: data.changes.total, status: "", name: "total", path: "", type: "", level: 0 }));
  }

  // Putting it together

  const options = (select, pairs) => select.replaceChildren(...pairs.map(([value, textContent]) => element("option", { value, textContent })));

  function show(each) {
    model = each;
    focus = active = model.root;
    const types = [...new Set(model.rows.map((node) => node.type))].sort(words.compare);
    options($("type"), [["", "all types"], ...types.map((type) => [type, type])]);
    lay();
    draw();
    legend();
    headers();
    fill();
  }

  function reset() {
    $("search").value = "";
    $("type").value = "";
    $("costly").checked = false;
    order = { column: -1, down: false };
    headers();
    zoom(model.root);
  }

  $("models").append(...models.map(card));
  $("notes").append(...models.flatMap((each) => each.notes.map((note) => element("p", { textContent: models.length > 1 ? `${each.label}: ${note}` : note }))));
  options($("figure"), FIGURES.filter((name) => models.some((each) => each.root.below[name] > 0n) || name === "total").map((name) => [name, named(name)]));
  $("figure").addEventListener("change", () => { figure = $("figure").value; lay(); zoom(focus); });
  $("out").addEventListener("click", () => zoom(model.nodes[focus.parent] || focus));
  for (const id of ["search", "type", "costly"]) $(id).addEventListener("input", fill);
  $("reset").addEventListener("click", reset);
  if (models.length > 1) {
    options($("model"), models.map((each, index) => [String(index), each.label]));
    $("model-choice").hidden = false;
    $("model").addEventListener("change", () => show(models[Number($("model").value)]));
    options($("changes-figure"), data.changes.figures.map((name) => [name, named(name)]));
    $("changes").hidden = false;
    for (const id of ["changes-figure", "changes-only"]) $(id).addEventListener("input", changes);
    changes();
  }
  show(model);
  new ResizeObserver(() => requestAnimationFrame(draw)).observe($("icicle").parentElement);
  document.documentElement.dataset.ready = "1";
})();
