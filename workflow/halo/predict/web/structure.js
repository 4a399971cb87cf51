"use strict";

// A Cα trace in three dimensions on a plain canvas: smooth, shaded by depth, turned by hand.

const NEAR = 14; // pixels within which a residue is pointed at
const BREAK = 6; // Å between neighbours, above which the chain is interrupted

function product(a, b) {
  const c = new Array(9).fill(0);
  for (let i = 0; i < 9; i += 1) {
    for (let k = 0; k < 3; k += 1) c[i] += a[3 * Math.floor(i / 3) + k] * b[3 * k + (i % 3)];
  }
  return c;
}

function turn(angle, axis) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return axis === "x" ? [1, 0, 0, 0, c, -s, 0, s, c] : [c, 0, s, 0, 1, 0, -s, 0, c];
}

// Points of a curve through the atoms (Catmull and Rom): place, and the atom that it belongs to.
function curve(atoms) {
  const count = atoms.length / 3, pieces = count > 3000 ? 2 : 5;
  const places = [], owners = [], linked = [];
  const at = (i, d) => atoms[3 * Math.min(Math.max(i, 0), count - 1) + d];
  const apart = (i) => Math.hypot(...[0, 1, 2].map((d) => at(i + 1, d) - at(i, d))) > BREAK;
  for (let i = 0; i < count; i += 1) {
    const last = i === count - 1 || apart(i);
    const before = i === 0 || apart(i - 1) ? i : i - 1;
    const after = i + 1 < count - 1 && !apart(i + 1) ? i + 2 : i + 1;
    for (let piece = 0; piece < (last ? 1 : pieces); piece += 1) {
      const t = piece / pieces;
      for (let d = 0; d < 3; d += 1) {
        const [p, q, r, s] = [at(before, d), at(i, d), at(i + 1, d), at(after, d)];
        places.push(0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t
          + (3 * q - p - 3 * r + s) * t * t * t));
      }
      owners.push(t < 0.5 ? i : i + 1);
      linked.push(!last);
    }
  }
  return { places, owners, linked };
}

class Viewer {
  // onPoint is told the index of the atom that is pointed at, or null.
  constructor(canvas, onPoint) {
    Object.assign(this, { canvas, onPoint, pointers: new Map(), atoms: null, colours: [] });
    this.reset(false);
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      canvas.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  reset(draw = true) {
    this.rotation = product(turn(0.25, "x"), turn(-0.25, "y"));
    this.zoom = 1;
    if (draw) this.plan();
  }

  // atoms: Float32Array of x, y, z around the middle.
  show(atoms, colours) {
    this.atoms = atoms;
    this.curve = curve(atoms);
    this.colours = colours;
    Object.assign(this, { extent: 1, across: 1, around: 1 });
    for (let i = 0; i < atoms.length; i += 3) {
      const [x, y, z] = atoms.subarray(i, i + 3);
      this.extent = Math.max(this.extent, Math.hypot(x, y, z));
      this.across = Math.max(this.across, Math.abs(x));
      this.around = Math.max(this.around, Math.hypot(y, z));
    }
    this.plan();
  }

  recolour(colours) {
    this.colours = colours;
    this.plan();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.point(event);
    const now = [event.clientX, event.clientY];
    if (this.pointers.size === 1) {
      this.rotateBy((now[0] - before[0]) * 0.01, (now[1] - before[1]) * 0.01);
    } else {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      this.zoomBy(apart(now) / apart(before));
    }
    this.pointers.set(event.pointerId, now);
    return undefined;
  }

  key(event) {
    const turns = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] };
    if (turns[event.key]) this.rotateBy(...turns[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.2);
    else if (event.key === "-") this.zoomBy(1 / 1.2);
    else return;
    event.preventDefault();
  }

  rotateBy(right, down) {
    this.rotation = product(product(turn(down, "x"), turn(right, "y")), this.rotation);
    this.plan();
  }

  zoomBy(factor) {
    this.zoom = Math.min(12, Math.max(0.4, this.zoom * factor));
    this.plan();
  }

  plan() {
    if (!this.waiting) {
      this.waiting = requestAnimationFrame(() => { this.waiting = null; this.draw(); });
    }
  }

  // Places on the canvas, in its pixels (y upwards, or the hand would be the wrong one), and depths from -1 (far) to 1 (near).
  projected(places) {
    const { width, height } = this.canvas, m = this.rotation, count = places.length / 3;
    const unit = 0.42 * this.zoom * Math.min(width / this.across, height / this.around);
    const points = new Float32Array(places.length);
    for (let i = 0; i < count; i += 1) {
      const [x, y, z] = [places[3 * i], places[3 * i + 1], places[3 * i + 2]];
      const depth = (m[6] * x + m[7] * y + m[8] * z) / this.extent;
      const scale = unit / (1 - 0.18 * depth);
      points[3 * i] = width / 2 + (m[0] * x + m[1] * y + m[2] * z) * scale;
      points[3 * i + 1] = height / 2 - (m[3] * x + m[4] * y + m[5] * z) * scale;
      points[3 * i + 2] = depth;
    }
    return points;
  }

  draw() {
    const box = this.canvas.getBoundingClientRect(), ratio = Math.min(2, window.devicePixelRatio || 1);
    this.canvas.width = Math.max(1, Math.round(box.width * ratio));
    this.canvas.height = Math.max(1, Math.round(box.height * ratio));
    if (!this.atoms) return;
    const context = this.canvas.getContext("2d"), { places, owners, linked } = this.curve;
    const p = this.projected(places);
    const order = [...linked.keys()].filter((i) => linked[i]);
    order.sort((a, b) => p[3 * a + 2] - p[3 * b + 2]);
    const count = this.atoms.length / 3, size = Math.min(1.6, Math.max(0.55, 14 / Math.sqrt(count)));
    const thick = ratio * 6 * size * Math.min(2.5, Math.sqrt(this.zoom)) * (box.width < 500 ? 0.75 : 1);
    for (const i of order) {
      const depth = (p[3 * i + 2] + 1) / 2, width = thick * (0.75 + 0.4 * depth);
      const fade = 0.5 * (1 - depth);
      const [x, y, dx, dy] = [p[3 * i], p[3 * i + 1], p[3 * i + 3] - p[3 * i], p[3 * i + 4] - p[3 * i + 1]];
      context.beginPath();
      context.moveTo(x - 0.2 * dx, y - 0.2 * dy);
      context.lineTo(x + 1.2 * dx, y + 1.2 * dy);
      context.lineCap = "butt"; // or the outline would cross the piece before
      context.lineWidth = width + 2.2 * ratio;
      context.strokeStyle = `rgb(${mixed([30, 30, 30], [255, 255, 255], fade)})`;
      context.stroke();
      context.lineCap = "round";
      context.lineWidth = width;
      context.strokeStyle = `rgb(${mixed(this.colours[owners[i]], [255, 255, 255], fade)})`;
      context.stroke();
    }
    const ends = this.projected([...this.atoms.slice(0, 3), ...this.atoms.slice(-3)]);
    context.font = `bold ${15 * ratio}px sans-serif`;
    context.lineWidth = 4 * ratio;
    context.strokeStyle = "#fff";
    context.fillStyle = "#000";
    ["N", "C"].forEach((name, i) => {
      const at = [name, ends[3 * i] + 7 * ratio, ends[3 * i + 1] - 7 * ratio];
      context.strokeText(...at);
      context.fillText(...at);
    });
  }

  point(event) {
    if (!this.atoms) return;
    const box = this.canvas.getBoundingClientRect(), ratio = this.canvas.width / box.width;
    const x = (event.clientX - box.left) * ratio, y = (event.clientY - box.top) * ratio;
    const p = this.projected(this.atoms);
    let best = null, nearest = NEAR * ratio;
    for (let i = 0; i < p.length / 3; i += 1) {
      const away = Math.hypot(p[3 * i] - x, p[3 * i + 1] - y) - 2 * ratio * p[3 * i + 2];
      if (away < nearest) [best, nearest] = [i, away];
    }
    this.onPoint(best);
  }
}
