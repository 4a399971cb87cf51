"use strict";

// The page's state: which wild type, which of its variants, which label and cell of its scan.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const CELL = 14, LEFT = 34, TOP = 22, NOT_CHANGED = -128, TOPS = 10, RARE = 0.05;
const FOR = [0, 114, 178], AGAINST = [213, 94, 0];
const state = { protein: 0, order: [], chosen: null, label: 0, row: 0, column: 0 };

const current = () => DATA.proteins[state.protein];
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const points = (difference) => `${difference < 0 ? "−" : "+"}${Math.abs(100 * difference).toFixed(1)}`;

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

// ---------------------------------------------------------------- a wild type

function chooseProtein(index) {
  Object.assign(state, { protein: index, chosen: null, row: 0, column: 0 });
  const protein = current();
  $("name").textContent = protein.id;
  const labels = protein.labels.length ? protein.labels.join(", ") : "no label";
  $("about").textContent = `Wild type: ${protein.length.toLocaleString("en")} residues, predicted: ${labels}.`;
  const warnings = [];
  if (protein.far) warnings.push("The wild type aligns with no training protein; trust its prediction, and those of its variants, less.");
  if (!["ok", "not used"].includes(protein.structure)) warnings.push("No structure is used: the sequence decides alone.");
  $("warnings").replaceChildren(...warnings.map((text) => make("li", { textContent: text })));
  $("warnings").hidden = !warnings.length;
  const best = protein.labels.length ? DATA.labels.indexOf(protein.labels[0]) : protein.p.indexOf(Math.max(...protein.p));
  state.label = best;
  $("scan-label").value = best;
  $("scan").hidden = !protein.scan;
  $("listed").hidden = !protein.variants.length;
  if (protein.scan) drawScan();
  filter();
}

// ---------------------------------------------------------------- the scan

function values() {
  const scan = current().scan;
  const bytes = Uint8Array.from(atob(scan.values[state.label]), (letter) => letter.charCodeAt(0));
  return new Int8Array(bytes.buffer);
}

const difference = (value) => (value * current().scan.highest[state.label]) / 127;

function colour(share) {
  const end = share < 0 ? AGAINST : FOR, weight = Math.min(1, Math.abs(share));
  return `rgb(${end.map((part) => Math.round(255 + (part - 255) * weight)).join(",")})`;
}

function nameOf(row, column) {
  const { scan, sequence } = current(), residue = sequence[column];
  if (scan.kind === "deletions") {
    const last = column + scan.window;
    return scan.window === 1 ? `${residue}${last}del` : `${residue}${column + 1}_${sequence[last - 1]}${last}del`;
  }
  const other = scan.kind === "alanine" ? (residue === "A" ? "G" : "A") : scan.rows[row];
  return `${residue}${column + 1}${other}`;
}

function drawScan() {
  const { scan, sequence, regions } = current(), length = sequence.length, rows = scan.rows.length;
  const shares = values(), canvas = $("map"), size = Math.min(CELL, 30000 / length), ratio = Math.min(devicePixelRatio || 1, 30000 / (LEFT + size * length));
  const width = LEFT + size * length, height = TOP + CELL * rows + 14;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, width, height);
  pen.fillStyle = "#1c1c1c";
  pen.textAlign = "right";
  scan.rows.forEach((name, row) => pen.fillText(name, LEFT - 5, TOP + CELL * (row + 0.5)));
  pen.textAlign = "center";
  for (let column = 0; column < length; column += 1) {
    const left = LEFT + size * column;
    if (!column || !((column + 1) % (size < 4 ? 50 : 10))) {
      pen.fillStyle = "#595959";
      pen.fillText(column + 1, left + size / 2, 7);
    }
    if (size >= 8) {
      pen.fillStyle = "#1c1c1c";
      pen.fillText(sequence[column], left + size / 2, 17);
    }
    for (let row = 0; row < rows; row += 1) {
      const value = shares[row * length + column];
      pen.fillStyle = value === NOT_CHANGED ? "#d5d5d5" : colour(value / 127);
      pen.fillRect(left, TOP + CELL * row, size - (size > 4 ? 0.5 : 0), CELL - 0.5);
    }
  }
  pen.fillStyle = "#000";
  (regions || []).filter((one) => one.label === DATA.labels[state.label]).forEach((one) => {
    pen.fillRect(LEFT + size * (one.start - 1), TOP + CELL * rows + 4, size * (one.end - one.start + 1), 3);
  });
  const most = scan.highest[state.label];
  $("scan-legend").replaceChildren(...[[-1, points(-most)], [-0.5, points(-most / 2)], [0, "0"], [0.5, points(most / 2)], [1, points(most)]].map(([share, text]) =>
    make("span", {}, make("i", { style: `background:${colour(share)}` }), text)), make("span", {}, make("i", { style: "background:#d5d5d5" }), "not changed"));
  $("scan-how").textContent = `Difference of the probability of ${DATA.labels[state.label]} to the wild type (${percent(current().p[state.label])}), in percentage points. ${
    { substitutions: "Rows: the new residue.", alanine: "Every residue is replaced by alanine, alanine by glycine.", deletions: `A cell is the deletion of ${scan.window} residues that begins there.` }[scan.kind]
  } Black bars below: regions that the label depends on. Exact values are in scan.csv.`;
  const order = [...shares.keys()].filter((at) => shares[at] !== NOT_CHANGED).sort((a, b) => shares[a] - shares[b]);
  $("top").replaceChildren(...order.slice(0, TOPS).map((at) => {
    const [row, column] = [Math.floor(at / length), at % length];
    return make("tr", { onclick: () => chooseCell(row, column) }, make("th", { scope: "row", textContent: nameOf(row, column) }),
      make("td", { className: "number", textContent: points(difference(shares[at])) }));
  }));
  chooseCell(state.row, state.column, false);
}

function chooseCell(row, column, drawn = true) {
  const { scan, sequence } = current();
  state.row = Math.max(0, Math.min(row, scan.rows.length - 1));
  state.column = Math.max(0, Math.min(column, sequence.length - 1));
  const value = values()[state.row * sequence.length + state.column];
  if (value === NOT_CHANGED) {
    $("cell").textContent = `${sequence[state.column]}${state.column + 1}: no variant here`;
  } else {
    const change = difference(value), before = current().p[state.label];
    $("cell").textContent = `${nameOf(state.row, state.column)}: ${DATA.labels[state.label]} ${percent(before)} → ${percent(Math.max(0, Math.min(1, before + change)))} (${points(change)})`;
  }
  if (drawn) {
    const scroll = $("scroll"), left = LEFT + Math.min(CELL, 30000 / sequence.length) * state.column;
    if (left < scroll.scrollLeft + LEFT || left > scroll.scrollLeft + scroll.clientWidth - 40) scroll.scrollLeft = left - scroll.clientWidth / 2;
  }
}

$("map").addEventListener("pointermove", pointed);
$("map").addEventListener("click", pointed);
function pointed(event) {
  const box = $("map").getBoundingClientRect(), size = Math.min(CELL, 30000 / current().sequence.length);
  chooseCell(Math.floor((event.clientY - box.top - TOP) / CELL), Math.floor((event.clientX - box.left - LEFT) / size), false);
}
$("map").addEventListener("keydown", (event) => {
  const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] || [0, 0];
  if (!down && !right) return;
  event.preventDefault();
  chooseCell(state.row + down, state.column + right);
});
$("scan-label").addEventListener("change", (event) => {
  state.label = Number(event.target.value);
  drawScan();
});

// ---------------------------------------------------------------- variants of the input

const size = (variant) => Math.abs(variant.difference[variant.largest]);

function fits(variant) {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean), kind = $("kind").value;
  const text = [variant.id, variant.variant, variant.hgvs, ...variant.gained, ...variant.lost].join(" ").toLowerCase();
  return words.every((word) => text.includes(word))
    && (kind !== "lost" || variant.lost.length) && (kind !== "gained" || variant.gained.length)
    && (kind !== "rare" || (variant.p_value !== null && variant.p_value <= RARE))
    && (kind !== "region" || (variant.regions || []).length || (variant.predicted || []).length);
}

function filter() {
  const all = current().variants, order = $("order").value;
  const shown = all.filter(fits);
  if (order === "size") shown.sort((a, b) => size(b) - size(a));
  if (order === "p") shown.sort((a, b) => a.p_value - b.p_value || size(b) - size(a));
  $("found").textContent = `${shown.length} of ${all.length} variant${all.length === 1 ? "" : "s"}`;
  $("rows").replaceChildren(...shown.map((variant) => {
    const changed = [...variant.lost.map((name) => make("span", { className: "chip lost", textContent: `− ${name}` })),
      ...variant.gained.map((name) => make("span", { className: "chip gained", textContent: `+ ${name}` }))];
    const button = make("a", { href: "#detail", textContent: variant.id });
    const row = make("tr", {}, make("th", { scope: "row" }, button), make("td", {}, ...(changed.length ? changed.flatMap((one) => [one, " "]) : [make("span", { className: "quiet", textContent: "as before" })])),
      make("td", { className: "number", textContent: `${points(variant.difference[variant.largest])} ${DATA.labels[variant.largest]}` }),
      make("td", { className: "number", textContent: variant.p_value === null ? "–" : variant.p_value.toFixed(2) }));
    row.dataset.row = all.indexOf(variant);
    row.addEventListener("click", (event) => { event.preventDefault(); choose(variant); });
    return row;
  }));
  if (shown.length) choose(shown.includes(state.chosen) ? state.chosen : shown[0]);
}

function choose(variant) {
  state.chosen = variant;
  const protein = current();
  [...$("rows").children].forEach((row) => row.classList.toggle("chosen", protein.variants[row.dataset.row] === variant));
  $("variant").textContent = variant.id;
  $("hgvs").textContent = variant.hgvs.length > 400 ? `${variant.hgvs.slice(0, 400)}…` : variant.hgvs;
  const order = [...DATA.labels.keys()].sort((a, b) => Math.max(protein.p[b], variant.p[b]) - Math.max(protein.p[a], variant.p[a]));
  $("bars").replaceChildren(...order.map((label) => {
    const before = protein.p[label], after = variant.p[label], change = variant.difference[label];
    const track = make("span", { className: "track" }, make("span", { className: "fill before", style: `width:${100 * before}%` }),
      make("span", { className: `fill after${change < 0 ? " falls" : ""}`, style: `width:${100 * after}%` }));
    if (!DATA.exclusive.includes(DATA.labels[label])) track.append(make("span", { className: "threshold", style: `left:${100 * DATA.thresholds[label]}%` }));
    const value = make("span", { className: "value", textContent: `${percent(before)} → ${percent(after)}` });
    const bounds = variant.interval ? ` (${points(variant.interval[label][0])} to ${points(variant.interval[label][1])})` : "";
    value.append(make("small", { textContent: points(change) + bounds }));
    return make("div", { className: "pair" }, make("span", { textContent: DATA.labels[label] }), track, value);
  }));
  const regions = variant.regions === null ? "unknown" : variant.regions.map((one) => `${one.label} ${one.start}–${one.end}`).join(", ") || "none";
  const facts = [["Labels", variant.labels.join(", ") || "none"], ["Changed residues", variant.changed], ["Residues", variant.length],
    ["Regions of attribution", regions], ...(variant.predicted === null ? [] : [["Predicted regions", variant.predicted.map((one) => `${one.kind} ${one.start}–${one.end}`).join(", ") || "none"]]), ["Structure", { kept: "that of the wild type", mapped: "that of the wild type, for the residues that it has", none: "none" }[variant.structure]]];
  if (variant.p_value !== null) facts.push(["p", `${variant.p_value.toFixed(3)}: share of ${DATA.random} random substitutions that change a label as much`]);
  $("facts").replaceChildren(...facts.flatMap(([name, text]) => [make("dt", { textContent: name }), make("dd", { textContent: text })]));
}

for (const id of ["search", "kind", "order"]) $(id).addEventListener("input", filter);
$("protein").addEventListener("change", (event) => chooseProtein(Number(event.target.value)));
$("choose-protein").hidden = DATA.proteins.length < 2;
chooseProtein(0);
