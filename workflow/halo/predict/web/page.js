"use strict";

// The page's state: which protein, which label, which residues; and all that is drawn of them.

const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const PLDDT = [[90, [0, 83, 214], "very high, above 90"], [70, [101, 203, 243], "high, 70 to 90"],
  [50, [255, 219, 19], "low, 50 to 70"], [0, [255, 125, 69], "very low, below 50"]];
const MODALITIES = { embedding: "#0b5c8f", structure: "#8a4b00", biochemistry: "#3f3f3f" };
const GREY = [205, 205, 205];
const rows = [...document.querySelectorAll("#list tbody tr")];
const state = { row: -1, track: 0, start: 0, fragment: 0 };
const viewer = new Viewer($("canvas"), pointed);

const percent = (share) => (share > 0.995 && share < 1 ? "> 99 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`);
const current = () => DATA.proteins[state.row];

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// ---------------------------------------------------------------- the list

// The labels of all groups that a protein is given.
function given(protein) {
  return [...protein.labels, ...Object.values(protein.groups || {}).flatMap((group) => group.labels)];
}

function fits(protein) {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [protein.id, protein.accession, ...given(protein)].join(" ").toLowerCase();
  const label = $("by-label").value, kind = $("by-kind").value;
  return words.every((word) => text.includes(word))
    && (!label || given(protein).includes(label))
    && (kind !== "apart" || protein.similar === false)
    && (kind !== "far" || protein.far === true)
    && (kind !== "bare" || protein.structure.status !== "ok")
    && (kind !== "none" || !protein.labels.length)
    && (kind !== "unsure" || protein.uncertainty > 0.5);
}

function filter() {
  let count = 0;
  rows.forEach((row, i) => {
    row.hidden = !fits(DATA.proteins[i]);
    count += !row.hidden;
  });
  $("found").textContent = `${count} of ${rows.length} protein${rows.length === 1 ? "" : "s"}`;
}

function step(by) {
  const left = rows.map((row, i) => i).filter((i) => !rows[i].hidden || i === state.row);
  const next = left[left.indexOf(state.row) + by];
  if (next !== undefined) location.hash = `p${next + 1}`;
}

// ---------------------------------------------------------------- one protein

function choose(row) {
  Object.assign(state, { row, track: 0, start: 0, fragment: 0 });
  rows.forEach((element, i) => element.classList.toggle("chosen", i === row));
  const list = $("list"), top = rows[row].offsetTop;
  if (top < list.scrollTop + 40 || top > list.scrollTop + list.clientHeight - 60) list.scrollTop = top - 80;
  const protein = current();
  $("name").textContent = protein.id.length > 300 ? `${protein.id.slice(0, 300)}…` : protein.id;
  const accession = protein.accession && protein.accession !== protein.id ? `${protein.accession}, ` : "";
  $("about").textContent = `${accession}${protein.length.toLocaleString("en")} residues`;
  $("warnings").replaceChildren(...warnings(protein).map((text) => make("li", { textContent: text })));
  $("warnings").hidden = !$("warnings").children.length;
  drawPrediction(protein);
  $("tabs").replaceChildren(...protein.tracks.map((track, i) => make("button", {
    type: "button", textContent: track.label, onclick: () => chooseTrack(i),
  })));
  $("tabs").hidden = protein.tracks.length < 2;
  $("fragment").replaceChildren(...(protein.trace || []).map((part, i) => {
    const position = new Uint16Array(bytes(part.position).buffer);
    return make("option", { value: i, textContent: `${position[0] + 1}–${position.at(-1) + 1}` });
  }));
  $("fragment-label").hidden = (protein.trace || []).length < 2;
  chooseTrack(0);
}

function warnings(protein) {
  const texts = protein.remarks.map((text) => `${text[0].toUpperCase()}${text.slice(1)}.`);
  if (protein.far) texts.push("Unlike all training proteins: it aligns with none of them. It may be of a family that the model knows nothing about; trust the prediction less.");
  const status = { missing: "No structure was found", mismatch: "The structure that was found is of another sequence",
    too_long: "The protein is too long for a structure", error: "The search for a structure failed" }[protein.structure.status];
  if (status) texts.push(`${status}: the sequence decided alone.`);
  if (protein.uncertainty > 0.8) texts.push(`Very uncertain, close to 1 (${DATA.unclear}): the decision could as well be another.`);
  return texts;
}

function drawPrediction(protein) {
  const set = protein.set, alone = protein.probabilities_alone, groups = Object.entries(protein.groups || {});
  $("verdict").replaceChildren(...(protein.labels.length
    ? ["Predicted: ", make("strong", { textContent: protein.labels.join(", ") }), "."]
    : [make("strong", { textContent: "No label reaches its threshold." }), " The probabilities and the conformal set say what is likely."]),
    ...groups.flatMap(([name, group]) => [` ${name}: `, make("strong", { textContent: group.labels.join(", ") || "none" }), "."]));
  const order = [...DATA.labels].sort((a, b) => protein.probabilities[b] - protein.probabilities[a]);
  $("bars").replaceChildren(...order.map((label) => {
    const value = protein.probabilities[label], threshold = protein.thresholds[label];
    const has = given(protein).includes(label), track = make("span", { className: "track" });
    track.append(make("span", { className: "fill", style: `width:${100 * value}%` }));
    if (!DATA.exclusive.includes(label)) {
      track.append(make("span", { className: "threshold", style: `left:${100 * threshold}%`, title: `threshold ${percent(threshold)}` }));
    }
    return make("div", { className: has ? "bar given" : "bar" },
      make("span", { textContent: (has ? "✓ " : "") + label }), track,
      make("span", { className: "value", textContent: percent(value), title: alone ? `by the model alone: ${percent(alone[label])}` : "" }));
  }));
  const kind = alone ? "Probability, to which a similar training protein contributes and which is not known to be calibrated," : "Calibrated probability";
  const exclusive = DATA.exclusive.length ? ` Of ${DATA.exclusive.join(", ")}, the highest is given.` : "";
  $("bars-how").textContent = DATA.exclusive.length < DATA.labels.length
    ? `${kind} of each label. Blue and ✓: given, because it reaches the label's threshold (black mark).${exclusive}`
    : `${kind} of each label; the highest is given (blue, ✓).`;
  const facts = [["Decided by", protein.decided_by.replaceAll(";", " and ")], ["Uncertainty", `${protein.uncertainty.toFixed(2)} (0 clear, 1 ${DATA.unclear})`]];
  if (set) facts.push(["Conformal set", set.length ? set.join(", ") : "empty"]);
  for (const [name, group] of groups) {
    const own = group.set ? `; conformal set: ${group.set.join(", ") || "empty"}` : "";
    facts.push([name, `decided by ${group.decided_by.replaceAll(";", " and ")}, uncertainty ${group.uncertainty.toFixed(2)}${own}`]);
  }
  if (protein.predicted_regions) facts.push(["Predicted regions", predictedRegions(protein)]);
  facts.push(["Nearest training protein", nearest(protein)], ["Structure", structureOf(protein)]);
  $("facts").replaceChildren(...facts.flatMap(([name, text]) => [make("dt", { textContent: name }), make("dd", { textContent: text })]));
  const weights = Object.keys(MODALITIES).map((name) => [name, (protein.modality_weights || {})[name] || 0])
    .filter(([, share]) => share > 0);
  $("modalities").hidden = !weights.length;
  $("shares").replaceChildren(...weights.map(([name, share]) => make("div", {
    style: `width:${100 * share}%;background:${MODALITIES[name]}`, title: `${name} ${percent(share)}`,
  }, make("span", { textContent: name }), make("br"), percent(share))));
}

function predictedRegions(protein) {
  const texts = protein.predicted_regions.map((region) => `${region.kind} ${region.start}–${region.end} (${percent(region.confidence)})`);
  return texts.length ? texts.join(", ") : "none";
}

function nearest(protein) {
  const near = protein.nearest_training;
  if (near) {
    const labels = near.labels.length ? near.labels.join(", ") : "none";
    const joined = protein.probabilities_alone ? " They are part of the decision." : "";
    const part = `${percent(near.query_coverage)} of this protein and ${percent(near.training_coverage)} of it aligned (residues ${near.start}–${near.end} of ${near.length})`;
    return `${near.id}: ${near.similar ? "similar" : "not similar"}, ${percent(near.identity)} identity, ${part}, E-value ${near.evalue.toPrecision(2)}. Its own labels: ${labels}.${joined}`;
  }
  return protein.far ? "none" : "not known: the bundle has no training sequences";
}

function structureOf(protein) {
  const structure = protein.structure;
  if (structure.status !== "ok") return { "not used": "not used by this method" }[structure.status] || "none";
  const source = { afdb: "AlphaFold DB", folder: "own file", archive: "archive", contacts: "table of contacts" }[structure.source];
  const plddt = structure.mean_plddt === null ? "" : `, mean pLDDT ${structure.mean_plddt.toFixed(0)}`;
  return `${source} ${structure.name}${structure.version ? `, version ${structure.version}` : ""}${plddt}`;
}

// ---------------------------------------------------------------- one label of it

function chooseTrack(index) {
  state.track = index;
  const protein = current(), track = protein.tracks[index];
  [...$("tabs").children].forEach((button, i) => button.setAttribute("aria-pressed", i === index));
  state.view = {
    sequence: protein.sequence,
    values: Float32Array.from(new Int8Array(bytes(track.values).buffer), (v) => v / 127),
    attention: Float32Array.from(bytes(protein.attention), (v) => v / 255),
    regions: protein.regions.filter((region) => region.label === track.label),
    predicted: protein.predicted_regions,
    kinds: DATA.kinds,
    highest: track.highest,
  };
  const contacts = DATA.contacts && protein.structure.status === "ok" ? ", or on the structure's contacts" : "";
  const whole = track.change < 0.5
    ? ` So no stretch is decisive: the score rests on what the whole chain has in common, or on what is missing in it${contacts}. Regions, if there are any, say little.`
    : "";
  const alone = DATA.alone
    ? ` Of the two methods that the bundle joins, this is the view of ${DATA.alone} alone, whichever decided.` : "";
  const homologue = protein.probabilities_alone ? " The labels of the similar training protein are no part of this score." : "";
  $("change").replaceChildren("For ", make("strong", { textContent: track.label }),
    `: compared with a chain of the same length ${DATA.baseline}, its residues change the score by ${told(track.change, 2)} (${DATA.units[track.label]}).${whole}${alone}${homologue}`);
  const view = state.view;
  $("regions").replaceChildren(view.regions.length
    ? make("table", { className: "regions" },
      make("thead", {}, make("tr", {}, ...["region", "raises the score by", "sequence"].map((text) => make("th", { textContent: text, scope: "col" })))),
      make("tbody", {}, ...view.regions.map((region) => make("tr", {},
        make("td", {}, make("button", { type: "button", textContent: `${region.start}–${region.end}`, onclick: () => moveTo(region.start - 1) })),
        make("td", { textContent: told(region.gain, 2) }),
        make("td", {}, make("code", { textContent: shortened(view.sequence.slice(region.start - 1, region.end)) }))))))
    : make("p", { className: "note", textContent: `No region: no stretch speaks clearly for ${track.label}.` }));
  moveTo(view.regions.length ? view.regions[0].start - 1 : state.start);
  drawStructure();
}

function shortened(text) {
  return text.length > 80 ? `${text.slice(0, 50)}…${text.slice(-25)}` : text;
}

function moveTo(residue) {
  const length = state.view.sequence.length, last = Math.max(0, Math.ceil((length - LETTERS) / 10) * 10);
  const wanted = Math.floor((residue - LETTERS / 4) / 10) * 10;
  state.start = Math.min(Math.max(wanted, 0), last);
  drawSequence();
}

function drawSequence() {
  const length = state.view.sequence.length;
  const shown = { start: state.start, stop: Math.min(length, state.start + LETTERS) };
  drawTracks($("tracks"), state.view, shown, moveTo);
  drawLetters($("letters"), state.view, shown);
  $("mover").hidden = length <= LETTERS;
  $("start").max = Math.max(1, Math.ceil((length - LETTERS) / 10) * 10 + 1);
  $("start").value = state.start + 1;
}

// ---------------------------------------------------------------- its structure

function drawStructure() {
  const protein = current(), there = Boolean(protein.trace && protein.trace.length);
  $("figure-structure").hidden = !there;
  $("no-structure").hidden = there;
  $("no-structure").textContent = protein.structure.status === "ok"
    ? "Its source has contacts and no coordinates, so there is nothing to draw." : "There is no structure to draw.";
  if (!there) return;
  const part = protein.trace[state.fragment];
  state.part = {
    position: new Uint16Array(bytes(part.position).buffer),
    plddt: bytes(part.plddt),
    atoms: Float32Array.from(new Int16Array(bytes(part.atoms).buffer), (v) => v / 10),
  };
  $("file").textContent = protein.file
    ? `The same as ${protein.file}, for PyMOL or ChimeraX: its B-factor is the contribution to ${protein.tracks[0].label}, 0 to 100.` : "";
  viewer.show(state.part.atoms, colours());
  drawLegend();
}

function colours() {
  const { position, plddt } = state.part, view = state.view, by = $("colour").value;
  if (by === "plddt") {
    return Array.from(plddt, (v) => (v === 255 ? GREY : PLDDT.find(([least]) => v >= least)[1]));
  }
  if (by === "attention") return Array.from(position, (i) => mixed(GREY, [60, 20, 80], view.attention[i]));
  return Array.from(position, (i) => valueColour(view.values[i], GREY));
}

function drawLegend() {
  const by = $("colour").value, label = current().tracks[state.track].label;
  const entries = {
    values: [[valueColour(1, GREY), `speaks for ${label}`], [GREY, "no part"], [valueColour(-1, GREY), "speaks against it"]],
    attention: [[[60, 20, 80], "most attention"], [GREY, "none"]],
    plddt: [...PLDDT.map(([, colour, text]) => [colour, text]), ...(state.part.plddt.includes(255) ? [[GREY, "not known"]] : [])],
  }[by];
  $("legend").replaceChildren(...entries.map(([colour, text]) => make("span", {},
    make("i", { style: `background:rgb(${colour})` }), text)));
}

function pointed(atom) {
  if (atom === null) { $("hint").textContent = ""; return; }
  const i = state.part.position[atom], plddt = state.part.plddt[atom], view = state.view;
  $("hint").textContent = `${view.sequence[i]}${i + 1}: ${told(view.values[i] * view.highest)}${plddt === 255 ? "" : `, pLDDT ${plddt}`}`;
}

// ---------------------------------------------------------------- what the reader does

function fromHash() {
  const row = Number(location.hash.slice(2)) - 1;
  const wanted = location.hash.startsWith("#p") && DATA.proteins[row] ? row : Math.max(0, state.row);
  if (wanted !== state.row) choose(wanted);
}

for (const id of ["search", "by-label", "by-kind"]) $(id).addEventListener("input", filter);
rows.forEach((row, i) => row.addEventListener("click", () => { location.hash = `p${i + 1}`; }));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("start").addEventListener("input", () => { state.start = Math.floor((Number($("start").value) - 1) / 10) * 10; drawSequence(); });
$("colour").addEventListener("input", () => { viewer.recolour(colours()); drawLegend(); });
$("fragment").addEventListener("input", () => { state.fragment = Number($("fragment").value); drawStructure(); });
$("reset").addEventListener("click", () => viewer.reset());
window.addEventListener("hashchange", fromHash);
window.addEventListener("resize", () => { drawSequence(); viewer.plan(); });
filter();
fromHash();
