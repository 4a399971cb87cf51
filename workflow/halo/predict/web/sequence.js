"use strict";

// The figures along the sequence: tracks of the whole protein, and the letters of a part of it.

const SVG = "http://www.w3.org/2000/svg";
const LETTERS = 300; // shown at a time

function svgElement(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function niceStep(length, most) {
  const raw = Math.max(1, length / most), power = 10 ** Math.floor(Math.log10(raw));
  return [1, 2, 5, 10].map((k) => k * power).find((step) => step >= raw);
}

// An area of steps between zero and the extreme value of each column of pixels.
function area(values, width, x, y, zero, pick) {
  const length = values.length, columns = Math.min(length, Math.round(width));
  let path = `M${x(0)} ${zero}`;
  for (let column = 0; column < columns; column += 1) {
    const from = Math.floor((column * length) / columns);
    const to = Math.max(from + 1, Math.floor(((column + 1) * length) / columns));
    let value = 0;
    for (let i = from; i < to; i += 1) value = pick(value, values[i]);
    path += `V${y(value).toFixed(1)}H${x(to).toFixed(1)}`;
  }
  return `${path}V${zero}Z`;
}

// Rows of brackets in which those that would touch stand below each other.
function inRows(regions, x, width) {
  const ends = [];
  return regions.map((region) => {
    const text = `${region.start}–${region.end}`;
    const middle = (x(region.start - 1) + x(region.end)) / 2, half = 4 + text.length * 3.6;
    const at = Math.min(Math.max(middle, half), width - half);
    const from = Math.min(x(region.start - 1), at - half), to = Math.max(x(region.end), at + half);
    let row = ends.findIndex((end) => end < from);
    if (row < 0) row = ends.length;
    ends[row] = to;
    return { region, text, at, row };
  });
}

const KIND_COLOURS = ["#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31"];

// The predicted regions as bars below the axis, one row with a name in each bar that has room.
function drawPredicted(svg, predicted, kinds, x, top) {
  svg.append(svgElement("text", { x: 2, y: top - 4, "font-size": 12, fill: "#595959" },
    predicted.length ? "predicted regions" : "predicted regions: none"));
  for (const region of predicted) {
    const from = x(region.start - 1), width = Math.max(2, x(region.end) - from);
    const colour = KIND_COLOURS[kinds.indexOf(region.kind) % KIND_COLOURS.length];
    const bar = svgElement("rect", { x: from, y: top, width, height: 14, fill: colour, class: "predicted" });
    bar.append(svgElement("title", {}, `${region.kind}, ${region.start}–${region.end}, ${percent(region.confidence)}`));
    svg.append(bar);
    if (width > region.kind.length * 7) {
      svg.append(svgElement("text", { x: from + 4, y: top + 11, "font-size": 11, fill: "#000" }, region.kind));
    }
  }
}

// holder: an element; protein: with values, attention (0..1), regions of the chosen label, and
// predicted regions (null if the model predicts none) with all kinds.
function drawTracks(holder, protein, shown, onPick) {
  const width = Math.max(240, holder.clientWidth), length = protein.sequence.length;
  const x = (residue) => (residue / length) * width;
  const brackets = inRows(protein.regions, x, width);
  const top = 6 + 22 * (1 + Math.max(-1, ...brackets.map((b) => b.row)));
  const zero = top + 62, attention = zero + 110, axis = attention + 30;
  const height = axis + (protein.predicted ? 36 : 0);
  const svg = svgElement("svg", {
    viewBox: `0 0 ${width} ${height}`, height, role: "img",
    "aria-label": `Contribution of each of ${length} residues, and attention`,
  });
  svg.append(svgElement("rect", {
    x: x(shown.start), y: top, width: Math.max(2, x(shown.stop - shown.start)),
    height: attention - top, fill: "#f1f4f7",
  }));
  const up = (value) => zero - 58 * value, down = (value) => zero - 40 * value;
  svg.append(
    svgElement("path", { d: area(protein.values, width, x, up, zero, Math.max), fill: "#0072b2", class: "for" }),
    svgElement("path", { d: area(protein.values, width, x, down, zero, Math.min), fill: "#d55e00", class: "against" }),
    svgElement("path", {
      d: area(protein.attention, width, x, (v) => attention - 50 * v, attention, Math.max),
      fill: "#9a9a9a", class: "attention",
    }),
    svgElement("path", { d: `M0 ${zero}H${width}M0 ${attention}H${width}`, stroke: "#222", "stroke-width": 1 }),
    svgElement("text", { x: 2, y: attention - 53, "font-size": 12, fill: "#595959", stroke: "#fff", "stroke-width": 4, "paint-order": "stroke" }, "attention"),
  );
  for (const { region, text, at, row } of brackets) {
    const y = 18 + 22 * row, from = x(region.start - 1), to = Math.max(from + 2, x(region.end));
    svg.append(
      svgElement("path", { d: `M${from} ${y + 7}V${y + 3}H${to}V${y + 7}`, fill: "none", stroke: "#000", "stroke-width": 2 }),
      svgElement("text", { x: at, y, "font-size": 12, "text-anchor": "middle", fill: "#1c1c1c" }, text),
    );
  }
  if (protein.predicted) drawPredicted(svg, protein.predicted, protein.kinds, x, axis + 16);
  const step = niceStep(length, width / 70);
  for (let tick = step; tick <= length; tick += step) {
    const at = x(tick - 0.5);
    if (at > width - 14 && tick !== length) break;
    svg.append(
      svgElement("path", { d: `M${at} ${attention}v4`, stroke: "#222" }),
      svgElement("text", { x: Math.min(at, width - 14), y: attention + 17, "font-size": 12, "text-anchor": "middle", fill: "#595959" },
        tick.toLocaleString("en")),
    );
  }
  svg.addEventListener("click", (event) => {
    const box = svg.getBoundingClientRect();
    onPick(Math.floor(((event.clientX - box.left) / box.width) * length));
  });
  holder.replaceChildren(svg);
}

function mixed(from, to, share) {
  return from.map((value, i) => Math.round(value + (to[i] - value) * share));
}

// The colour of a contribution, -1 to 1; white, or the given grey, is none.
function valueColour(value, none) {
  return mixed(none, value >= 0 ? [0, 114, 178] : [213, 94, 0], Math.min(1, Math.abs(value)));
}

function drawLetters(holder, protein, shown) {
  const inside = new Uint8Array(protein.sequence.length);
  for (const region of protein.regions) inside.fill(1, region.start - 1, region.end);
  const parts = [];
  for (let start = shown.start; start < shown.stop; start += 10) {
    const ten = document.createElement("span"), number = document.createElement("small");
    ten.className = "ten";
    number.textContent = start + 1;
    ten.append(number);
    for (let i = start; i < Math.min(start + 10, shown.stop); i += 1) {
      const letter = document.createElement("b"), value = protein.values[i];
      const colour = valueColour(value, [255, 255, 255]);
      letter.textContent = protein.sequence[i];
      letter.title = `${protein.sequence[i]}${i + 1}: ${told(value * protein.highest)}`;
      letter.style.background = `rgb(${colour})`;
      if (value > 0.55) letter.style.color = "#fff";
      if (inside[i]) letter.className = "in";
      ten.append(letter);
    }
    parts.push(ten);
  }
  holder.replaceChildren(...parts);
}

function told(value, digits = 3) {
  const text = Math.abs(value).toFixed(digits);
  return Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
}
