// The script of the report that `vitkit explain --html` writes. Everything it shows is in the page: the element #data
// holds JSON, in which arrays of numbers are base64 text (docs/explain_report.md has the format).
//
// The script has two files, which the page holds one after the other. This one knows the numbers: data, attention of a
// token, colours on a canvas. report_page.js has what people see and touch. One object, `state`, says what is to be seen;
// whatever changes it calls show().
"use strict";

const element = (id) => document.getElementById(id);
const report = JSON.parse(element("data").textContent);

const state = {
  picture: 0,
  mode: "attention", // or "map"
  layer: 0,
  head: "mean", // "mean", "max" or a head's place in the layer
  map: 0,
  query: null, // {x, y}: a place on the picture, 0 to 1; or {ordinal, name}: a token that is not on it
  reverse: false, // false: what the token attends to; true: what attends to it
  held: false, // moving the pointer does not change the query
};

const thePicture = () => report.pictures[state.picture];
const theLayer = () => thePicture().layers[state.layer];
const theMap = () => thePicture().maps[state.map];

// ---- Data ---------------------------------------------------------------------------------------------------------

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const kColors = { sequential: bytesOf(report.colors.sequential), diverging: bytesOf(report.colors.diverging) };

/** A layer's numbers, decoded when they are first needed. */
function numbersOf(layer) {
  if (!layer.numbers)
    layer.numbers = { shares: bytesOf(layer.values), scales: new Float32Array(bytesOf(layer.scales).buffer) };
  return layer.numbers;
}

const countOf = (tokens) => tokens.before.length + tokens.rows * tokens.columns + tokens.after.length;
const namesOf = (tokens) => [...tokens.before, ...tokens.after];
/** The token's number, of the named token at a place in namesOf(). */
const tokenOfName = (tokens, ordinal) =>
  ordinal < tokens.before.length ? ordinal : ordinal + tokens.rows * tokens.columns;

/** The values of a map, decoded when first needed: byte 0 is its least, 255 its largest value. */
function valuesOf(map) {
  if (!map.numbers) map.numbers = Float32Array.from(bytesOf(map.values), (b) => map.min + (b / 255) * (map.max - map.min));
  return map.numbers;
}

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 2 : 1)} %`;
const short = (value) => (value === 0 ? "0" : String(Number(value.toPrecision(3))));

// ---- Attention of a token -----------------------------------------------------------------------------------------

// In a layer [heads, queries, keys] a token is a query, and its row says what it attends to; or a key, and its column
// says what attends to it. What people point at is one side, what is drawn the other.
const pointedSide = (layer) => (state.reverse ? layer.keys : layer.queries);
const shownSide = (layer) => (state.reverse ? layer.queries : layer.keys);

/** The row and column of a place on the picture; null: outside of the grid. */
function cellAt(grid, x, y) {
  const row = Math.floor(grid.window.top + y * grid.window.rows);
  const column = Math.floor(grid.window.left + x * grid.window.columns);
  return row >= 0 && row < grid.rows && column >= 0 && column < grid.columns ? { row, column } : null;
}

/** The place on the picture of a cell's centre. */
const placeOf = (grid, { row, column }) => ({
  x: (column + 0.5 - grid.window.left) / grid.window.columns,
  y: (row + 0.5 - grid.window.top) / grid.window.rows,
});

/** The number of the token that the query means in a layer; -1: the layer has none such. */
function tokenOf(layer, query) {
  const tokens = pointedSide(layer);
  if ("name" in query) {
    const names = namesOf(tokens);
    const ordinal = names[query.ordinal] === query.name ? query.ordinal : names.indexOf(query.name);
    return ordinal < 0 ? -1 : tokenOfName(tokens, ordinal);
  }
  const cell = cellAt(tokens, query.x, query.y);
  return cell ? tokens.before.length + cell.row * tokens.columns + cell.column : -1;
}

/** Attention between a token and all of the other side's, by one head, their mean or their largest. */
function attentionOf(layer, head, token) {
  const { shares, scales } = numbersOf(layer);
  const queries = countOf(layer.queries), keys = countOf(layer.keys);
  const result = new Float32Array(countOf(shownSide(layer)));
  if (token < 0) return result;
  const heads = typeof head === "number" ? [head] : layer.heads.map((_, place) => place);
  for (const h of heads) {
    for (let i = 0; i < result.length; ++i) {
      const row = h * queries + (state.reverse ? i : token), key = state.reverse ? token : i;
      const share = (scales[row] * shares[row * keys + key]) / 255;
      result[i] = head === "max" ? Math.max(result[i], share) : result[i] + share / heads.length;
    }
  }
  return result;
}

/** The part of a token list's values that lies on its grid. */
const onGrid = (tokens, values) => values.subarray(tokens.before.length, values.length - tokens.after.length);
const largestOf = (values) => values.reduce((largest, value) => Math.max(largest, value), 0);

/** The head that is chosen, as far as the layer has it. */
const headIn = (layer, head) =>
  layer.heads.length === 1 ? 0 : typeof head === "number" && head >= layer.heads.length ? "mean" : head;

/** Where the layer does not know the query: the picture's middle, or the first token. */
function repairQuery() {
  const tokens = pointedSide(theLayer());
  if (state.query && tokenOf(theLayer(), state.query) >= 0) return;
  if (tokens.before.length + tokens.after.length > 0) state.query = { ordinal: 0, name: namesOf(tokens)[0] };
  else state.query = { x: 0.5, y: 0.5 };
}

// ---- Drawing ------------------------------------------------------------------------------------------------------

/** Colours of values on a grid into a canvas. `scale` is {min, max, colors}; pixels outside of the grid stay clear. */
function drawGrid(canvas, grid, values, scale, smooth) {
  const { width, height } = canvas;
  const picture = canvas.getContext("2d").createImageData(width, height);
  const across = places(width, grid.window.left, grid.window.columns, grid.columns);
  const down = places(height, grid.window.top, grid.window.rows, grid.rows);
  const range = scale.max - scale.min || 1;
  for (let y = 0; y < height; ++y) {
    if (!down[y]) continue;
    for (let x = 0; x < width; ++x) {
      if (!across[x]) continue;
      const value = smooth ? between(grid, values, down[y], across[x])
                           : values[down[y].cell * grid.columns + across[x].cell];
      const share = Math.min(1, Math.max(0, (value - scale.min) / range));
      const color = 3 * Math.round(255 * share), at = 4 * (y * width + x);
      for (let c = 0; c < 3; ++c) picture.data[at + c] = scale.colors[color + c];
      picture.data[at + 3] = 255;
    }
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** For every pixel of an axis the cell it lies in, and the two centres it lies between; null: outside of the grid. */
function places(pixels, first, extent, cells) {
  return Array.from({ length: pixels }, (_, pixel) => {
    const at = first + ((pixel + 0.5) / pixels) * extent;
    if (at < 0 || at >= cells) return null;
    const centred = Math.min(Math.max(at - 0.5, 0), cells - 1), low = Math.floor(centred);
    return { cell: Math.floor(at), low, high: Math.min(low + 1, cells - 1), share: centred - low };
  });
}

/** Bilinear between the centres of four cells. */
function between(grid, values, down, across) {
  const row = (r) => {
    const left = values[r * grid.columns + across.low], right = values[r * grid.columns + across.high];
    return left + across.share * (right - left);
  };
  const top = row(down.low);
  return top + down.share * (row(down.high) - top);
}

/** A small picture of all of a grid, a pixel per cell. */
function drawThumbnail(canvas, grid, values, scale) {
  canvas.width = Math.max(1, grid.columns);
  canvas.height = Math.max(1, grid.rows);
  const whole = { top: 0, left: 0, rows: grid.rows, columns: grid.columns };
  if (grid.rows > 0) drawGrid(canvas, { ...grid, window: whole }, values, scale, false);
}
