"use strict";
// One canvas: 16-bit slices, window / level, zoom, pan, stacks, an optional mark. No library: a lookup
// table and one drawImage are all it takes, on any computer, with or without WebGL.
class Viewer {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.sheet = document.createElement("canvas");
    this.changed = changed;
    this.values = null;
    this.pointers = new Map();
    this.canMark = false;
    this.locked = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointerdown", (e) => this.down(e));
    canvas.addEventListener("pointermove", (e) => this.move(e));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (e) => this.up(e));
    canvas.addEventListener("wheel", (e) => this.wheel(e), { passive: false });
    canvas.addEventListener("contextmenu", (e) => e.preventDefault());
  }
  show(values, depth, side) {
    this.values = values; this.depth = depth; this.side = side;
    this.k = depth >> 1;
    this.mark = null;
    this.sheet.width = this.sheet.height = side;
    this.fit();
  }
  clear() { this.values = null; this.draw(); }
  fit() { this.zoom = 1; this.x = 0; this.y = 0; this.draw(); }
  setWindow(center, width) {
    this.center = center; this.width = Math.max(width, 1);
    this.paint(); this.draw();
  }
  paint() {
    if (!this.values || !this.width) return;
    const size = this.side * this.side, picture = new ImageData(this.side, this.side);
    const pixels = new Uint32Array(picture.data.buffer), low = this.center - this.width / 2, scale = 255 / this.width;
    const from = this.k * size;
    for (let n = 0; n < size; n++) {
      let g = Math.round((this.values[from + n] - low) * scale);
      g = g < 0 ? 0 : g > 255 ? 255 : g;
      pixels[n] = 0xff000000 | (g << 16) | (g << 8) | g;
    }
    this.sheet.getContext("2d").putImageData(picture, 0, 0);
  }
  scroll(by) {
    if (!this.values || this.depth < 2) return;
    this.k = Math.min(this.depth - 1, Math.max(0, this.k + by));
    this.paint(); this.draw(); this.changed(this);
  }
  place() {
    const ratio = window.devicePixelRatio || 1, box = this.canvas.getBoundingClientRect();
    const w = Math.max(1, Math.round(box.width * ratio)), h = Math.max(1, Math.round(box.height * ratio));
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    const edge = Math.min(w, h) * this.zoom;
    return { edge, left: (w - edge) / 2 + this.x * ratio, top: (h - edge) / 2 + this.y * ratio, ratio, box };
  }
  draw() {
    const p = this.place(), c = this.context;
    c.fillStyle = "#000";
    c.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.values) return;
    c.imageSmoothingEnabled = true; c.imageSmoothingQuality = "high";
    c.drawImage(this.sheet, p.left, p.top, p.edge, p.edge);
    if (this.mark) {
      c.strokeStyle = "#ffb000"; c.lineWidth = 2 * p.ratio;
      c.beginPath();
      c.arc(p.left + this.mark.x * p.edge, p.top + this.mark.y * p.edge, 12 * p.ratio, 0, 7);
      c.stroke();
    }
  }
  zoomBy(factor) { this.zoom = Math.min(12, Math.max(1, this.zoom * factor)); if (this.zoom === 1) { this.x = this.y = 0; } this.draw(); }
  pan(dx, dy) { this.x += dx; this.y += dy; this.draw(); }
  down(e) {
    this.canvas.setPointerCapture(e.pointerId);
    this.pointers.set(e.pointerId, { x: e.clientX, y: e.clientY });
    this.moved = 0;
  }
  move(e) {
    const was = this.pointers.get(e.pointerId);
    if (!was || !this.values) return;
    const dx = e.clientX - was.x, dy = e.clientY - was.y, before = this.spread();
    was.x = e.clientX; was.y = e.clientY;
    this.moved += Math.abs(dx) + Math.abs(dy);
    if (this.pointers.size > 1) { this.zoomBy(this.spread() / (before || 1)); this.pan(dx / 2, dy / 2); }
    else if (e.shiftKey || e.buttons & 6 || (this.zoom > 1 && e.pointerType === "touch") || this.locked) this.pan(dx, dy);
    else if (this.moved > 3) {
      this.setWindow(this.center + dy * this.width / 500, this.width * Math.exp(dx / 300));
      this.changed(this, true);
    }
  }
  up(e) {
    if (this.pointers.delete(e.pointerId) && this.canMark && this.moved < 4 && e.type === "pointerup") {
      const p = this.place(), x = ((e.clientX - p.box.left) * p.ratio - p.left) / p.edge, y = ((e.clientY - p.box.top) * p.ratio - p.top) / p.edge;
      if (x >= 0 && x <= 1 && y >= 0 && y <= 1) { this.mark = { x, y }; this.draw(); this.changed(this); }
    }
  }
  spread() {
    const [a, b] = [...this.pointers.values()];
    return b ? Math.hypot(a.x - b.x, a.y - b.y) : 0;
  }
  wheel(e) {
    e.preventDefault();
    if (this.depth > 1 && !e.ctrlKey) this.scroll(Math.sign(e.deltaY)); else this.zoomBy(Math.exp(-e.deltaY / 400));
  }
}
