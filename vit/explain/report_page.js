
// The second part of the report's script: what is shown, the strips, lists and the table beside the picture, pointing and
// keys, the start.

// ---- Scales, legend, cursor ---------------------------------------------------------------------------------------

const attentionScale = (largest) => ({ min: 0, max: largest, colors: kColors.sequential });
const mapScale = (map) => ({ min: map.min, max: map.max, colors: map.signed ? kColors.diverging : kColors.sequential });

function drawLegend(scale, format, what) {
  const grid = { rows: 1, columns: 256, window: { top: 0, left: 0, rows: 1, columns: 256 } };
  drawGrid(element("legend-bar"), grid, Float32Array.from({ length: 256 }, (_, i) => i / 255), { ...scale, min: 0, max: 1 });
  element("legend-min").textContent = format(scale.min);
  element("legend-max").textContent = format(scale.max);
  element("legend-what").textContent = what;
}

/** The frame around a cell; null: none. */
function drawCursor(grid, cell) {
  const cursor = element("cursor");
  cursor.hidden = !cell;
  cursor.classList.toggle("held", state.held);
  if (!cell) return;
  const { top, left, rows, columns } = grid.window;
  cursor.style.left = `${(100 * (cell.column - left)) / columns}%`;
  cursor.style.top = `${(100 * (cell.row - top)) / rows}%`;
  cursor.style.width = `${100 / columns}%`;
  cursor.style.height = `${100 / rows}%`;
}

// ---- What is shown ------------------------------------------------------------------------------------------------

function show() {
  const isMap = state.mode === "map";
  element("attention").hidden = isMap || thePicture().layers.length === 0;
  element("common-label").hidden = element("attention").hidden;
  element("maps").hidden = !isMap || thePicture().maps.length === 0;
  press(element("modes"), isMap ? "map" : "attention");
  press(element("directions"), String(state.reverse));
  if (isMap && thePicture().maps.length > 0) showMap();
  else if (!isMap && thePicture().layers.length > 0) showAttention();
  Object.assign(element("frame").dataset, { mode: state.mode, held: String(state.held) });
}

function showAttention() {
  repairQuery();
  const layer = theLayer(), tokens = shownSide(layer), head = headIn(layer, state.head), query = state.query;
  const token = tokenOf(layer, query);
  const ofLayers = thePicture().layers.map((l) => attentionOf(l, headIn(l, head), tokenOf(l, query)));
  const ofHeads = headChoices(layer).map((choice) => attentionOf(layer, choice.head, token));
  const chosen = headChoices(layer).findIndex((choice) => choice.head === head);
  const values = ofHeads[chosen];
  const ofLayerGrids = ofLayers.map((v, i) => onGrid(shownSide(thePicture().layers[i]), v));
  const ofHeadGrids = ofHeads.map((v) => onGrid(tokens, v));
  const common = element("common").checked ? largestOf([...ofLayerGrids, ...ofHeadGrids].map(largestOf)) : null;
  const scaleOf = (grid) => attentionScale(common ?? largestOf(grid));

  element("layers").querySelectorAll("button").forEach((button, i) =>
    button.classList.toggle("absent", tokenOf(thePicture().layers[i], query) < 0));
  drawStrip(element("layers"), ofLayerGrids, (i) => shownSide(thePicture().layers[i]), scaleOf, state.layer);
  drawStrip(element("heads"), ofHeadGrids, () => tokens, scaleOf, chosen);
  const grid = onGrid(tokens, values), scale = scaleOf(grid);
  drawGrid(element("heat"), tokens, grid, scale, element("smooth").checked);
  const cell = "name" in query ? null : cellAt(pointedSide(layer), query.x, query.y);
  drawCursor(pointedSide(layer), cell);
  const queryName = cell ? `row ${cell.row}, column ${cell.column}` : query.name;
  drawLegend(scale, percent, state.reverse ? `attention that each place pays to ${queryName}` : `attention of ${queryName}`);
  press(element("queries"), cell ? "" : String(query.ordinal));
  showShares(tokens, values, queryName);
  element("layer-note").textContent = layer.note;
  element("readout").textContent = sentence(layer, headChoices(layer)[chosen].name, queryName, tokens, values);
  const data = element("frame").dataset;
  Object.assign(data, { layer: layer.name, head: String(head), query: queryName, largest: String(scale.max) });
}

/** The readout: what is seen, in words, for those who hear it, too. */
function sentence(layer, headName, queryName, tokens, values) {
  const grid = onGrid(tokens, values), largest = largestOf(grid), at = grid.indexOf(largest);
  const where = grid.length ? `row ${Math.floor(at / tokens.columns)}, column ${at % tokens.columns}` : "";
  const sum = grid.reduce((total, value) => total + value, 0);
  const subject = `${layer.name}, ${headName}: ${queryName}`;
  if (state.reverse)
    return `${subject} is attended to most by ${grid.length ? `${where} (${percent(largest)} of its attention)` : "tokens off the picture"}.`;
  if (!grid.length) return `${subject} attends to tokens off the picture.`;
  return `${subject} attends to the picture with ${percent(sum)}, most to ${where} (${percent(largest)}).`;
}

/** The other side's tokens that are not on the picture, with their shares. */
function showShares(tokens, values, queryName) {
  const names = namesOf(tokens);
  element("shares-title").textContent =
    names.length === 0 ? "" : state.reverse ? `Tokens off the picture: their attention to ${queryName}`
                                            : `Tokens off the picture: what ${queryName} attends to`;
  const shares = names.map((_, ordinal) => values[tokenOfName(tokens, ordinal)]);
  const largest = Math.max(largestOf(shares), 1e-12);
  element("shares").replaceChildren(...names.map((name, i) => {
    const line = made("div", {}, made("span", {}, name), made("span", {}, percent(shares[i])));
    const bar = made("i", {});
    bar.style.width = `${(100 * shares[i]) / largest}%`;
    return made("div", { className: "share" }, line, bar);
  }));
}

function showMap() {
  const map = theMap(), scale = mapScale(map);
  drawGrid(element("heat"), map, valuesOf(map), scale, element("smooth").checked);
  drawLegend(scale, short, `${map.name}${map.subject ? `: ${map.subject}` : ""}`);
  press(element("figures"), String(state.map));
  element("map-note").textContent = map.note;
  const cell = state.query && "x" in state.query ? cellAt(map, state.query.x, state.query.y) : null;
  drawCursor(map, cell);
  const value = cell ? valuesOf(map)[cell.row * map.columns + cell.column] : 0;
  element("readout").textContent = cell ? `${map.name}: ${short(value)} at row ${cell.row}, column ${cell.column}.`
                                        : `${map.name}: point at the picture for its values.`;
  Object.assign(element("frame").dataset, { map: map.name, value: cell ? String(value) : "" });
}

// ---- Strips, lists, table -----------------------------------------------------------------------------------------

/** An element with properties and children. */
function made(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/** A button of a group; `value` says which one it is. */
function choice(value, onclick, ...children) {
  const button = made("button", { type: "button", onclick }, ...children);
  button.dataset.value = value;
  return button;
}

/** Marks the button of a group that has a value; one button of a group is reached with Tab, the others with arrows. */
function press(group, value) {
  const buttons = [...group.querySelectorAll("button")];
  const reached = buttons.find((button) => button.dataset.value === value) ?? buttons[0];
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(button.dataset.value === value));
    button.tabIndex = button === reached ? 0 : -1;
  }
}

function arrowsMoveIn(group) {
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...group.querySelectorAll("button")], at = buttons.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const value = buttons[(at + step + buttons.length) % buttons.length].dataset.value;
    [...group.querySelectorAll("button")].find((button) => button.dataset.value === value).click();
    [...group.querySelectorAll("button")].find((button) => button.dataset.value === value)?.focus();
  });
}

/** The heads of a layer, with their mean and largest where there are several. */
function headChoices(layer) {
  const heads = layer.heads.map((name, head) => ({ head, name }));
  return heads.length === 1 ? heads : [{ head: "mean", name: "mean" }, { head: "max", name: "max" }, ...heads];
}

function drawStrip(strip, grids, tokensOf, scaleOf, chosen) {
  strip.querySelectorAll("canvas").forEach((canvas, i) => drawThumbnail(canvas, tokensOf(i), grids[i], scaleOf(grids[i])));
  press(strip, String(chosen));
}

function fillStrip(strip, names, labels, choose) {
  strip.replaceChildren(...names.map((name, i) => {
    const button = choice(String(i), () => choose(i), made("canvas", {}), made("span", { className: "clip" }, labels[i]));
    button.title = name;
    button.setAttribute("aria-label", name);
    return button;
  }));
}

/** What layers are told apart by: their numbers, with the first word where there are several kinds of layers. */
function shortNames(names) {
  const kinds = new Set(names.map((name) => name.replace(/\d+/g, "#")));
  const labels = names.map((name) => {
    const numbers = (name.match(/\d+/g) ?? []).join(".");
    return kinds.size > 1 ? `${name.split(".")[0]} ${numbers}` : numbers;
  });
  return new Set(labels).size === names.length && names.length > 1 ? labels : names;
}

/** Everything that depends on the layer: its heads, and the tokens to choose from. */
function fillLayer() {
  if (thePicture().layers.length === 0) return;
  const layer = theLayer(), choices = headChoices(layer);
  element("layer-name").textContent = layer.name;
  const heads = choices.map((c) => c.name);
  fillStrip(element("heads"), heads, heads, (i) => change({ head: choices[i].head }));
  const names = namesOf(pointedSide(layer));
  element("queries").replaceChildren(...names.map((name, ordinal) =>
    choice(String(ordinal), () => change({ query: { ordinal, name }, held: true }), name)));
  element("queries").previousElementSibling.hidden = names.length === 0;
}

function fillPicture() {
  const picture = thePicture(), image = element("picture"), heat = element("heat");
  element("picture-name").textContent = picture.name;
  element("picture-lines").replaceChildren(...picture.lines.map((line) => made("div", {}, line)));
  image.src = picture.image;
  image.alt = picture.name;
  image.classList.toggle("small", Math.max(picture.width, picture.height) < 160);
  const factor = Math.max(1, Math.ceil(512 / Math.max(picture.width, picture.height)));
  heat.width = factor * picture.width;
  heat.height = factor * picture.height;
  element("frame").style.setProperty("--shape", picture.width / picture.height);
  element("frame").setAttribute("aria-label", `${picture.name}: move through the cells with the arrow keys`);
  const layers = picture.layers.map((layer) => layer.name);
  fillStrip(element("layers"), layers, shortNames(layers), (i) => change({ layer: i }));
  const modes = [["attention", "Attention", picture.layers], ["map", "Maps and figures", picture.maps]];
  element("modes").replaceChildren(...modes.filter(([, , list]) => list.length > 0)
    .map(([mode, title]) => choice(mode, () => change({ mode }), title)));
  fillTable();
  fillLayer();
}

/** A row per map: its picture, its name, its figures; of each answer the best of a column is marked. */
function fillTable() {
  const picture = thePicture();
  const columns = report.figures.filter((column) => picture.maps.some((map) => column.name in map.figures));
  const goals = { low: " (lower is better)", high: " (higher is better)", none: "" };
  const isNumber = (column) => picture.maps.some((map) => typeof map.figures[column.name]?.value === "number");
  const heading = (column) => made("th", { scope: "col", className: isNumber(column) ? "number" : "" }, column.name,
    made("span", { className: "quiet" }, goals[column.goal]));
  // Figures of different answers are of different scores: maps are compared with those of the same one.
  const bestOf = (column, subject) => {
    const values = picture.maps.filter((map) => map.subject === subject).map((map) => map.figures[column.name]?.value)
      .filter((value) => typeof value === "number");
    return column.goal === "none" || values.length < 2 ? null : Math[column.goal === "low" ? "min" : "max"](...values);
  };
  const rows = picture.maps.map((map, i) => {
    const thumbnail = made("canvas", {});
    drawThumbnail(thumbnail, map, valuesOf(map), mapScale(map));
    const button = choice(String(i), () => change({ mode: "map", map: i }), thumbnail, made("span", {},
      made("span", { className: "line" }, map.name), made("span", { className: "line quiet" }, map.subject)));
    const cells = columns.map((column) => {
      const figure = map.figures[column.name], best = bestOf(column, map.subject);
      const isBest = best !== null && figure?.value === best;
      const text = !figure ? "" : figure.text || short(figure.value);
      const cell = made("td", { className: typeof figure?.value === "number" ? "number" : "" }, text);
      if (isBest) Object.assign(cell, { className: "number best", title: "the best for this answer" });
      return cell;
    });
    return made("tr", {}, made("th", { scope: "row" }, button), ...cells);
  });
  element("figures").replaceChildren(
    made("thead", {}, made("tr", {}, made("th", { scope: "col" }, "map"), ...columns.map(heading))),
    made("tbody", {}, ...rows));
  element("hints").replaceChildren(...columns.filter((column) => column.hint)
    .flatMap((column) => [made("dt", {}, column.name), made("dd", {}, column.hint)]));
}

// ---- Pointing and keys --------------------------------------------------------------------------------------------

/** Changes the state and shows it; what depends on layer, direction or picture is filled anew. */
function change(changes) {
  Object.assign(state, changes);
  if ("layer" in changes || "reverse" in changes) fillLayer();
  if ("layer" in changes || "head" in changes) state.mode = "attention";
  show();
}

/** The grid that the pointer moves on; null: none (words, say). */
function pointedGrid() {
  const grid = state.mode === "map" ? theMap() : theLayer() && pointedSide(theLayer());
  return grid && grid.rows > 0 ? grid : null;
}

/** Takes the cell at a pointer event as the query. Says whether it is another one than before; null: there is no cell. */
function pointAt(event) {
  const box = element("frame").getBoundingClientRect(), grid = pointedGrid();
  const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
  const cell = grid && cellAt(grid, x, y);
  if (!cell) return null;
  const place = placeOf(grid, cell), before = state.query;
  if (before && before.x === place.x && before.y === place.y) return false;
  state.query = place;
  show();
  return true;
}

function listenToPointer() {
  const frame = element("frame");
  frame.addEventListener("pointermove", (event) => {
    if (!state.held || event.buttons > 0) pointAt(event);
  });
  frame.addEventListener("pointerdown", (event) => {
    const isNew = pointAt(event);
    if (isNew !== null) change({ held: isNew || !state.held });
  });
}

function moveCell(rows, columns) {
  const grid = pointedGrid();
  if (!grid) return;
  const query = state.query && "x" in state.query ? state.query : { x: 0.5, y: 0.5 };
  const cell = cellAt(grid, query.x, query.y) ?? { row: 0, column: 0 };
  const next = "x" in (state.query ?? {}) ? { row: cell.row + rows, column: cell.column + columns } : cell;
  const place = placeOf(grid, next);
  const isThere = next.row >= 0 && next.row < grid.rows && next.column >= 0 && next.column < grid.columns;
  if (isThere && place.x > 0 && place.x < 1 && place.y > 0 && place.y < 1) change({ query: place, held: true });
}

function stepLayer(step) {
  const layers = thePicture().layers.length;
  if (layers > 0) change({ layer: Math.min(Math.max(state.layer + step, 0), layers - 1) });
}

function stepHead(step) {
  if (thePicture().layers.length === 0) return;
  const choices = headChoices(theLayer()).map((c) => c.head), at = choices.indexOf(headIn(theLayer(), state.head));
  change({ head: choices[(at + step + choices.length) % choices.length] });
}

function listenToKeys() {
  const first = () => {
    const names = thePicture().layers.length > 0 ? namesOf(pointedSide(theLayer())) : [];
    if (names.length > 0) change({ query: { ordinal: 0, name: names[0] }, held: true });
  };
  const actions = {
    ArrowLeft: () => moveCell(0, -1), ArrowRight: () => moveCell(0, 1),
    ArrowUp: () => moveCell(-1, 0), ArrowDown: () => moveCell(1, 0),
    Home: first, Escape: () => change({ held: false }),
    PageUp: () => stepLayer(-1), PageDown: () => stepLayer(1), "+": () => stepHead(1), "-": () => stepHead(-1),
  };
  element("frame").addEventListener("keydown", (event) => {
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  });
}

// ---- Start --------------------------------------------------------------------------------------------------------

function choosePicture(picture) {
  const layers = report.pictures[picture].layers.length;
  Object.assign(state, { picture, map: 0, held: false, query: null });
  state.layer = picture === 0 && state.layer === 0 ? layers - 1 : Math.min(state.layer, layers - 1);
  state.mode = layers > 0 && (state.mode === "attention" || report.pictures[picture].maps.length === 0) ? "attention" : "map";
  fillPicture();
  press(element("pictures"), String(picture));
  show();
}

function listenToTheme() {
  const dark = () => (document.documentElement.dataset.theme ??
    (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const name = () => { element("theme").textContent = `${dark() ? "light" : "dark"} colours`; };
  element("theme").onclick = () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; name(); };
  name();
}

function start() {
  element("report-lines").replaceChildren(...report.lines.map((line) => made("div", {}, line)));
  element("notes").replaceChildren(...report.notes.map((note) => made("p", {}, note)));
  element("pictures").hidden = report.pictures.length < 2;
  element("pictures").replaceChildren(...report.pictures.map((picture, i) =>
    choice(String(i), () => choosePicture(i), made("img", { src: picture.image, alt: "" }),
      made("span", { className: "clip" }, picture.name.split("/").pop()))));
  element("pictures").querySelectorAll("button").forEach((button, i) => { button.title = report.pictures[i].name; });
  element("directions").replaceChildren(
    choice("false", () => change({ reverse: false }), "what it attends to"),
    choice("true", () => change({ reverse: true }), "what attends to it"));
  for (const group of ["pictures", "modes", "directions", "queries", "layers", "heads", "figures"])
    arrowsMoveIn(element(group));
  element("opacity").oninput = () => { element("heat").style.opacity = element("opacity").value / 100; };
  element("smooth").onchange = show;
  element("common").onchange = show;
  listenToPointer();
  listenToKeys();
  listenToTheme();
  choosePicture(0);
}

start();
