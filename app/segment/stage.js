// The stage: draws what the view shows, from labels and maps that arrive as PNGs whose values
// are class ids, or 0 to 255 for 0 to 1.

const VOID = 255;
const MARKED = [255, 0, 102, 255]; // wrong, or where models disagree
const UNMARKED = [0, 0, 0, 120];
const SCALES = {
  confidence: ["0 %", "100 %"],
  entropy: ["certain", "undecided"],
};
const NOTES = {
  errors: "Bright where the model and the mask differ",
  differ: "Bright where the two models differ",
};
// For who cannot see the canvas; the shares of the classes come with it.
const SPOKEN = {
  confidence: "Confidence: how probable the network finds the class it chose, place by place",
  entropy: "Entropy: where the network is certain and where undecided",
  truth: "Truth: the classes of the mask",
  errors: `Errors: ${NOTES.errors.toLowerCase()}`,
  other: "Second: the classes that the second model sees",
  differ: `Disagreement: ${NOTES.differ.toLowerCase()}`,
};

const view = { name: "classes", opacity: null, style: "fill", names: false, split: 0 };
let maps = { key: null };
let reading = null;
const probe = { x: 0.5, y: 0.5 }; // what the arrow keys move, in fractions of the picture

const stage = () => document.querySelector(".studio-stage");
const panel = () => document.querySelector(".studio-panel");
const classBoxes = () => [...document.querySelectorAll(".class-row input")];
const classes = () => [...classBoxes(), ...document.querySelectorAll(".class-list .absent")];
// Absent ones have no box to check: they stay as they are at first.
const isShown = (box) => box.checked ?? !("hiddenAtFirst" in box.dataset);

const pixelsOf = async (uri) => {
  const image = new Image();
  image.src = uri;
  await image.decode();
  const { naturalWidth: width, naturalHeight: height } = image;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const channel = (c) => Uint8Array.from({ length: width * height }, (_, i) => rgba[4 * i + c]);
  return { width, height, channel };
};

const read = async (figure) => {
  const { key, labels, doubts, truth, other } = figure.dataset;
  const ids = async (uri) => {
    if (!uri) return null;
    const { width, height, channel } = await pixelsOf(uri);
    return { width, height, values: channel(0) };
  };
  const soft = await pixelsOf(doubts);
  const { width, height } = soft;
  const found = {
    key,
    classes: await ids(labels),
    truth: await ids(truth),
    other: await ids(other),
    confidence: { width, height, values: soft.channel(0) },
    entropy: { width, height, values: soft.channel(1) },
  };
  if (reading === key) maps = found; // else a newer figure has come meanwhile
};

// Where a style draws: `overlay.drawn_as` does the same for files.
const drawnMask = ({ width, height, values }, style) => {
  const drawn = new Uint8Array(values.length).fill(style === "fill" ? 1 : 0);
  if (style === "fill") return drawn;
  const longest = Math.max(width, height);
  const wide = Math.min(8, 1 + Math.floor(longest / 400));
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      for (let step = 1; step <= wide; step++) {
        if (x >= step && values[i] !== values[i - step]) drawn[i] = drawn[i - step] = 1;
        const above = i - step * width;
        if (y >= step && values[i] !== values[above]) drawn[i] = drawn[above] = 1;
      }
    }
  }
  if (style !== "hatch") return drawn;
  const period = 6 + Math.floor(longest / 50);
  const half = Math.floor(period / 2);
  const third = Math.floor(period / 3);
  const hatched = [
    (x, y) => (x + y) % period < half,
    (x, y) => (((x - y) % period) + period) % period < half,
    (x, y) => y % period < half,
    (x) => x % period < half,
    (x, y) => x % period < third || y % period < third,
    (x, y) => x % period < half && y % period < half,
  ];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) if (hatched[values[i] % 6](x, y)) drawn[i] = 1;
  }
  return drawn;
};

const words = (colours) => new Uint32Array(new Uint8ClampedArray(colours.flat()).buffer);

const classColours = () => {
  const colours = Array.from({ length: 256 }, () => [0, 0, 0, 0]); // RGBA by class id
  for (const box of classes()) {
    const rgb = parseInt(box.dataset.colour.slice(1), 16);
    if (isShown(box)) colours[box.dataset.id] = [rgb >> 16, (rgb >> 8) & 255, rgb & 255, 255];
  }
  return words(colours);
};

const scaleColours = () => {
  const bytes = panel().dataset.scale.match(/../g).map((hex) => parseInt(hex, 16)); // R, G, B, ...
  return words(
    Array.from({ length: 256 }, (_, level) => [...bytes.slice(3 * level, 3 * level + 3), 255]),
  );
};

const paint = () => {
  const figure = stage();
  // Stage and panel come one after the other; colours are right once both are there.
  if (figure?.dataset.key !== maps.key || panel()?.dataset.key !== maps.key) return;
  const against = { errors: maps.truth, differ: maps.other }[view.name];
  const source = against ? maps.classes : (maps[view.name] ?? maps.classes);
  const { width, height, values } = source;
  const picture = new ImageData(width, height);
  const target = new Uint32Array(picture.data.buffer);
  if (against) {
    const [marked, unmarked] = words([MARKED, UNMARKED]);
    for (let i = 0; i < values.length; i++) {
      const wrong = against.values[i] !== values[i] && against.values[i] !== VOID;
      target[i] = wrong ? marked : unmarked;
    }
  } else if (view.name in SCALES) {
    const colours = scaleColours();
    for (let i = 0; i < values.length; i++) target[i] = colours[values[i]];
  } else {
    const colours = classColours();
    const drawn = drawnMask(source, view.style);
    for (let i = 0; i < values.length; i++) target[i] = drawn[i] ? colours[values[i]] : 0;
  }
  const canvas = figure.querySelector("canvas");
  canvas.dataset.classes ??= canvas.ariaLabel;
  canvas.ariaLabel = SPOKEN[view.name] ?? canvas.dataset.classes;
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(picture, 0, 0);
  writeNames(figure, source);
  figure.dataset.ready = "";
};

// Names of the shown classes, each where its largest inner place is.
const writeNames = (figure, { width, height, values }) => {
  const place = figure.querySelector(".labels");
  place.replaceChildren();
  if (!view.names || !["classes", "truth", "other"].includes(view.name)) return;
  const step = Math.max(1, Math.ceil(Math.max(width, height) / 160));
  const [w, h] = [Math.floor(width / step), Math.floor(height / step)];
  const id = (x, y) => values[y * step * width + x * step];
  const depth = new Uint16Array(w * h); // steps to the nearest other class, by two passes
  const pass = (xs, ys, d) => {
    for (const y of ys) {
      for (const x of xs) {
        const near = (dx, dy) => {
          const [u, v] = [x + dx, y + dy];
          const same = u >= 0 && v >= 0 && u < w && v < h && id(u, v) === id(x, y);
          return same ? depth[v * w + u] : 0;
        };
        const found = 1 + Math.min(near(d, 0), near(0, d));
        depth[y * w + x] = d < 0 ? found : Math.min(found, depth[y * w + x]);
      }
    }
  };
  const range = (n) => [...Array(n).keys()];
  pass(range(w), range(h), -1);
  pass(range(w).reverse(), range(h).reverse(), 1);
  const best = {};
  depth.forEach((deep, i) => {
    const label = id(i % w, Math.floor(i / w));
    if (deep > (best[label]?.deep ?? 1)) best[label] = { deep, x: i % w, y: Math.floor(i / w) };
  });
  for (const box of classes()) {
    const found = best[box.dataset.id];
    if (!found || !isShown(box)) continue;
    const label = document.createElement("span");
    label.textContent = nameOf(box);
    label.style.left = `clamp(2.5rem, ${(100 * (found.x + 0.5)) / w}%, 100% - 2.5rem)`;
    label.style.top = `clamp(0.7rem, ${(100 * (found.y + 0.5)) / h}%, 100% - 0.7rem)`;
    place.append(label);
  }
};

const nameOf = (box) => box.nextElementSibling?.matches(".name")
  ? box.nextElementSibling.textContent
  : box.textContent;

const applyView = () => {
  const [figure, controls] = [stage(), panel()];
  if (!figure || !controls) return;
  const slider = controls.querySelector(".opacity input");
  view.opacity ??= slider.value;
  slider.value = view.opacity;
  controls.querySelector(".opacity output").value = `${view.opacity} %`;
  controls.querySelector(".style").value = view.style;
  controls.querySelector(".names input").checked = view.names;
  const offered = controls.querySelector(`.views input[value=${view.name}]`);
  if (!offered) view.name = "classes";
  controls.querySelector(`.views input[value=${view.name}]`).checked = true;
  controls.dataset.view = figure.dataset.view = view.name;
  const [low, high] = SCALES[view.name] ?? ["", ""];
  controls.querySelector(".scale span:first-child").textContent = low;
  controls.querySelector(".scale span:last-child").textContent = high;
  controls.querySelector(".errors-note").textContent = NOTES[view.name] ?? "";
  figure.style.setProperty("--opacity", view.opacity / 100);
  figure.style.setProperty("--split", `${view.split}%`);
  figure.querySelector(".split").value = view.split;
};

// The page's own address with this choice; what Gradio and the Hub ask of it stays.
const linkTo = (query) => {
  const link = new URL(location.href);
  const kept = [...link.searchParams].filter(([name]) => name.startsWith("__"));
  link.search = new URLSearchParams([...kept, ...new URLSearchParams(query)]);
  return link.href;
};

const refresh = async () => {
  const figure = stage();
  if (!figure) return;
  if (panel()?.dataset.view !== view.name || figure.dataset.view !== view.name) applyView();
  const { key, query } = figure.dataset;
  if (key !== maps.key && key !== reading) {
    reading = key;
    if (maps.key) history.replaceState(null, "", linkTo(query)); // not at a first visit
    await read(figure);
  }
  if (!("ready" in figure.dataset)) paint();
};
new MutationObserver(refresh).observe(document.body, { childList: true, subtree: true });

document.addEventListener("input", ({ target }) => {
  if (target.matches(".split")) {
    view.split = Number(target.value);
    return applyView();
  }
  if (!target.closest(".studio-panel")) return;
  if (target.matches(".opacity input")) view.opacity = target.value;
  if (target.matches(".style")) view.style = target.value;
  if (target.matches(".names input")) view.names = target.checked;
  if (target.matches(".views input")) view.name = target.value;
  applyView();
  if (!target.matches(".opacity input")) paint();
});

// --- The class under the pointer, under a finger, or where the arrow keys went.

const tell = (figure, u, v) => {
  const caption = figure.querySelector(".pointer");
  const inside = u >= 0 && v >= 0 && u < 1 && v < 1 && figure.dataset.key === maps.key;
  const at = (map) =>
    map && map.values[Math.floor(v * map.height) * map.width + Math.floor(u * map.width)];
  const called = (id) => {
    const box = classes().find(({ dataset }) => Number(dataset.id) === id);
    return box ? nameOf(box) : id === VOID ? "void" : "";
  };
  const id = inside ? at(maps.classes) : null;
  const box = classes().find(({ dataset }) => Number(dataset.id) === id);
  caption.hidden = !box;
  if (!box) return;
  const parts = [`${nameOf(box)} · ${Math.round(at(maps.confidence) / 2.55)} %`];
  if (maps.truth) parts.push(`truth: ${called(at(maps.truth))}`);
  if (maps.other) parts.push(`second: ${called(at(maps.other))}`);
  caption.textContent = parts.join(" · ");
  caption.style.setProperty("--colour", box.dataset.colour);
  const { width, height } = figure.getBoundingClientRect();
  const back = u > 0.6 ? `translateX(calc(-100% - 1.8rem))` : "";
  caption.style.transform = `translate(${u * width}px, ${Math.min(v * height, height - 50)}px) ${back}`;
};

const tellPointer = (event) => {
  const figure = stage();
  if (!figure) return;
  const box = figure.getBoundingClientRect();
  tell(figure, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
};
document.addEventListener("pointermove", tellPointer);
document.addEventListener("pointerdown", tellPointer);

document.addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const move = moves[event.key];
  if (!move || event.target !== stage()) return;
  event.preventDefault();
  const within = (value) => Math.min(Math.max(value, 0), 0.999);
  probe.x = within(probe.x + 0.02 * move[0]);
  probe.y = within(probe.y + 0.02 * move[1]);
  tell(stage(), probe.x, probe.y);
});

// --- A link that opens the page with this model and these options.

document.addEventListener("click", async ({ target }) => {
  if (!target.matches(".copy-link")) return;
  const link = linkTo(stage().dataset.query);
  try {
    await navigator.clipboard.writeText(link);
    target.textContent = "Copied";
  } catch {
    prompt("The link:", link); // pages that are not secure have no clipboard
  }
});

// What a download has to look like.
window.studioView = () => ({
  opacity: (view.opacity ?? 55) / 100,
  style: view.style,
  hidden: classes().filter((box) => !isShown(box)).map((box) => Number(box.dataset.id)),
});

refresh();
