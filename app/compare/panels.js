// Panels of one picture that move together. All pictures and label maps are here already: zoom,
// opacity and class filter ask the server nothing.

const VOID = 255;
const MARK = [230, 0, 126];
const MOST_ZOOM = 40;

export default function (component) {
  const { parentElement, data } = component;
  const root = parentElement.querySelector(".panels");
  // Opacity, filter and view outlive the picture: the next one is looked at in the same way.
  root.viewer ??= new Viewer(root, data.opacity);
  root.viewer.show(data);
}

class Viewer {
  constructor(root, opacity) {
    this.root = root;
    this.grid = root.querySelector(".grid");
    this.legend = root.querySelector(".legend");
    this.readout = root.querySelector(".readout");
    this.hidden = new Set();
    this.view = { zoom: 1, x: 0.5, y: 0.5 };
    this.pointers = new Map();
    this.turn = 0;
    const slider = root.querySelector("input[type=range]");
    slider.value = opacity;
    slider.oninput = () => this.setOpacity(slider.value);
    this.setOpacity(opacity);
    for (const [name, change] of Object.entries({
      in: () => this.zoomBy(1.6, 0.5, 0.5),
      out: () => this.zoomBy(1 / 1.6, 0.5, 0.5),
      whole: () => this.look(1, 0.5, 0.5),
      all: () => this.filter([]),
      none: () => this.filter(this.data.classes.map((info) => info.name)),
    }))
      root.querySelector(`button[name=${name}]`).onclick = change;
    new ResizeObserver(() => this.draw()).observe(this.grid);
  }

  async show(data) {
    if (this.data?.key === data.key) return;
    const turn = ++this.turn;
    const maps = {};
    const [image] = await Promise.all([
      picture(data.image),
      ...Object.entries(data.maps).map(async ([name, map]) => {
        maps[name] = { names: map.names, colours: map.colours, ids: await inflate(map.ids) };
      }),
    ]);
    if (turn !== this.turn) return; // another picture was asked for meanwhile
    // A picture of another shape is looked at whole.
    if (this.image && this.image.width * image.height !== image.width * this.image.height)
      this.view = { zoom: 1, x: 0.5, y: 0.5 };
    Object.assign(this, { data, image, maps });
    this.pale = paled(image);
    if (!this.cross) this.readout.textContent = data.hint;
    this.build();
    this.buildLegend();
    this.paint();
  }

  build() {
    const { data, image } = this;
    this.grid.style.setProperty("--columns", data.columns);
    this.panels = data.panels.map((panel) => {
      const box = element("figure", panel.wide ? "panel wide" : "panel");
      const caption = element("figcaption");
      if (panel.colour) caption.append(dot(panel.colour));
      caption.append(panel.title, element("small", "", panel.note || "\u00a0"));
      const canvas = element("canvas");
      canvas.style.aspectRatio = `${image.width} / ${image.height}`;
      canvas.tabIndex = 0;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", panel.about);
      this.listen(canvas);
      box.append(caption, canvas);
      const layer = document.createElement("canvas");
      [layer.width, layer.height] = [image.width, image.height];
      return { ...panel, box, canvas, layer };
    });
    this.grid.replaceChildren(...this.panels.map((panel) => panel.box));
  }

  buildLegend() {
    const { data } = this;
    const head = element("tr");
    head.append(element("th", "", "Share of the picture"));
    for (const { title, colour } of data.heads) {
      const cell = element("th");
      if (colour) cell.append(dot(colour));
      cell.append(title);
      head.append(cell);
    }
    const rows = data.classes.map((info) => {
      const row = element("tr");
      const name = element("th");
      const label = element("label");
      const box = element("input");
      box.type = "checkbox";
      box.checked = !this.hidden.has(info.name);
      box.onchange = () => {
        const hidden = new Set(this.hidden);
        if (box.checked) hidden.delete(info.name);
        else hidden.add(info.name);
        this.filter(hidden);
      };
      const swatch = element("span", "swatch");
      swatch.style.background = info.colour;
      label.append(box, swatch, info.name);
      name.append(label);
      row.append(name, ...info.shares.map((share) => element("td", "", share)));
      return { row, box, name: info.name };
    });
    this.boxes = rows;
    this.legend.querySelector("thead").replaceChildren(head);
    this.legend.querySelector("tbody").replaceChildren(...rows.map((entry) => entry.row));
  }

  setOpacity(percent) {
    this.opacity = percent / 100;
    this.root.querySelector("output").textContent = `${percent} %`;
    this.draw();
  }

  filter(hidden) {
    this.hidden = new Set(hidden);
    for (const { box, name } of this.boxes) box.checked = !this.hidden.has(name);
    this.paint();
  }

  // Colours the layers that lie over the picture: once per picture and filter.
  paint() {
    for (const panel of this.panels) {
      if (panel.kind === "picture") continue;
      const context = panel.layer.getContext("2d");
      const pixels = context.createImageData(panel.layer.width, panel.layer.height);
      const words = new Uint32Array(pixels.data.buffer);
      const maps = panel.maps.map((name) => this.maps[name]);
      if (panel.kind === "labels") this.paintLabels(words, maps[0]);
      else this.paintMarks(words, maps, panel.kind === "errors");
      context.putImageData(pixels, 0, 0);
    }
    this.draw();
  }

  paintLabels(words, map) {
    const palette = new Uint32Array(256);
    map.colours.forEach((colour, id) => {
      if (!this.hidden.has(map.names[id])) palette[id] = opaque(...rgb(colour));
    });
    for (let i = 0; i < words.length; i++) words[i] = palette[map.ids[i]];
  }

  // Marks where maps differ; of errors the first map is the truth, and void is no error.
  paintMarks(words, maps, isErrors) {
    const mark = opaque(...MARK);
    const shown = new Uint8Array(256);
    maps[0].names.forEach((name, id) => (shown[id] = this.hidden.has(name) ? 0 : 1));
    const [first, ...others] = maps.map((map) => map.ids);
    for (let i = 0; i < words.length; i++) {
      const id = first[i];
      if (isErrors && id === VOID) continue;
      let differs = false;
      let seen = shown[id];
      for (const other of others) {
        if (other[i] !== id) differs = true;
        seen |= shown[other[i]];
      }
      if (differs && seen) words[i] = mark;
    }
  }

  draw() {
    if (!this.panels) return;
    const { width, height } = this.image;
    const { zoom, x, y } = this.view;
    for (const panel of this.panels) {
      const { canvas } = panel;
      const across = Math.round(canvas.clientWidth * devicePixelRatio);
      const down = Math.round((across * height) / width);
      if (canvas.width !== across) canvas.width = across;
      if (canvas.height !== down) canvas.height = down;
      canvas.style.touchAction = zoom > 1 ? "none" : "pan-y";
      canvas.style.cursor = zoom > 1 ? "grab" : "crosshair";
      const scale = (across * zoom) / width;
      const context = canvas.getContext("2d");
      context.setTransform(
        scale, 0, 0, scale, across / 2 - x * width * scale, down / 2 - y * height * scale,
      );
      // Enlarged, pixels stay pixels: labels have no values between.
      context.imageSmoothingEnabled = scale < 1;
      context.globalAlpha = 1;
      const isMarked = panel.kind === "errors" || panel.kind === "differ";
      context.drawImage(isMarked ? this.pale : this.image, 0, 0);
      if (panel.kind !== "picture") {
        context.globalAlpha = this.opacity;
        context.drawImage(panel.layer, 0, 0);
      }
      if (this.cross) {
        context.setTransform(1, 0, 0, 1, 0, 0);
        context.globalAlpha = 1;
        const cx = (this.cross.x - x) * zoom * across + across / 2;
        const cy = (this.cross.y - y) * zoom * down + down / 2;
        for (const [style, line] of [["#000", 3], ["#fff", 1]]) {
          context.strokeStyle = style;
          context.lineWidth = line * devicePixelRatio;
          const arm = 7 * devicePixelRatio;
          context.beginPath();
          context.moveTo(cx - arm, cy);
          context.lineTo(cx + arm, cy);
          context.moveTo(cx, cy - arm);
          context.lineTo(cx, cy + arm);
          context.stroke();
        }
      }
    }
    this.root.dataset.view = [zoom, x, y].map((number) => number.toFixed(3)).join(" ");
    this.root.dataset.shown = this.data.key;
  }

  look(zoom, x, y) {
    zoom = Math.min(Math.max(zoom, 1), MOST_ZOOM);
    const half = 0.5 / zoom;
    const within = (value) => Math.min(Math.max(value, half), 1 - half);
    this.view = { zoom, x: within(x), y: within(y) };
    this.draw();
  }

  // Zooms so that what is at (px, py) of a panel, 0 to 1, stays there.
  zoomBy(factor, px, py) {
    const { zoom, x, y } = this.view;
    const next = Math.min(Math.max(zoom * factor, 1), MOST_ZOOM);
    const shift = 1 / zoom - 1 / next;
    this.look(next, x + (px - 0.5) * shift, y + (py - 0.5) * shift);
  }

  listen(canvas) {
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    };
    canvas.onpointerdown = (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, at(event));
    };
    canvas.onpointermove = (event) => {
      const now = at(event);
      const before = this.pointers.get(event.pointerId);
      const { zoom, x, y } = this.view;
      if (before && this.pointers.size === 2) {
        const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId);
        const far = (point) => Math.hypot(point[0] - other[1][0], point[1] - other[1][1]);
        this.zoomBy(far(now) / Math.max(far(before), 1e-3), other[1][0], other[1][1]);
      } else if (before && zoom > 1) {
        this.look(zoom, x - (now[0] - before[0]) / zoom, y - (now[1] - before[1]) / zoom);
      }
      if (before) this.pointers.set(event.pointerId, now);
      if (event.pointerType !== "touch") this.point(now);
    };
    canvas.onpointerup = canvas.onpointercancel = (event) => {
      this.pointers.delete(event.pointerId);
      if (event.pointerType === "touch") this.point(at(event));
    };
    canvas.onpointerleave = () => this.point(null);
    canvas.ondblclick = (event) => this.zoomBy(event.shiftKey ? 0.5 : 2, ...at(event));
    canvas.addEventListener(
      "wheel",
      (event) => {
        // Without Ctrl the wheel scrolls the page, as everywhere else on it.
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        this.zoomBy(Math.exp(-event.deltaY / 200), ...at(event));
      },
      { passive: false },
    );
    canvas.onkeydown = (event) => {
      const moves = {
        "+": () => this.zoomBy(1.6, 0.5, 0.5),
        "-": () => this.zoomBy(1 / 1.6, 0.5, 0.5),
        0: () => this.look(1, 0.5, 0.5),
        ArrowLeft: () => this.step(-1, 0),
        ArrowRight: () => this.step(1, 0),
        ArrowUp: () => this.step(0, -1),
        ArrowDown: () => this.step(0, 1),
      };
      if (event.key in moves && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        moves[event.key]();
      }
    };
  }

  // Moves the cross by keys; what is shown follows it.
  step(right, down) {
    const { zoom, x, y } = this.view;
    const half = 0.5 / zoom;
    const seen = (point) => Math.abs(point.x - x) <= half && Math.abs(point.y - y) <= half;
    const from = this.cross && seen(this.cross) ? this.cross : { x, y };
    const inside = (value, length) => Math.min(Math.max(value, 0), 1 - 0.5 / length);
    const to = {
      x: inside(from.x + (0.02 * right) / zoom, this.image.width),
      y: inside(from.y + (0.02 * down) / zoom, this.image.height),
    };
    const follow = (value, at) => Math.min(Math.max(value, at - half), at + half);
    this.look(zoom, follow(x, to.x), follow(y, to.y));
    this.mark(to);
  }

  point(where) {
    const { zoom, x, y } = this.view;
    this.mark(where && { x: x + (where[0] - 0.5) / zoom, y: y + (where[1] - 0.5) / zoom });
  }

  // What truth and models say of the pixel at the cross.
  mark(cross) {
    this.cross = cross;
    this.readout.textContent = this.cross ? this.says(this.cross) : this.data.hint;
    this.draw();
  }

  says({ x, y }) {
    const { width, height } = this.image;
    const [column, row] = [Math.floor(x * width), Math.floor(y * height)];
    if (column < 0 || row < 0 || column >= width || row >= height) return this.data.hint;
    return this.data.panels
      .filter((panel) => panel.kind === "labels")
      .map((panel) => {
        const map = this.maps[panel.maps[0]];
        return `${panel.title}: ${map.names[map.ids[row * width + column]] ?? "void"}`;
      })
      .join(" · ");
  }
}

function element(kind, className = "", text = "") {
  const made = document.createElement(kind);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function dot(colour) {
  const made = element("span", "dot");
  made.style.background = colour;
  return made;
}

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

function opaque(red, green, blue) {
  const word = new Uint32Array(1);
  new Uint8Array(word.buffer).set([red, green, blue, 255]);
  return word[0];
}

function bytes(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

async function inflate(base64) {
  const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function picture({ type, data }) {
  return createImageBitmap(new Blob([bytes(data)], { type }));
}

// A grey and pale copy, on which marks stand out.
function paled(image) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  context.globalCompositeOperation = "saturation";
  context.fillStyle = "#888";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "source-over";
  context.fillStyle = "rgba(255, 255, 255, 0.55)";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas;
}
