// The segment page in the browser: takes pictures in, and draws the classes.
// Gradio runs this function once, when the page is there.
() => {
  // --- Pictures in: dropped anywhere on the page, or pasted, they go to the upload field.

  const offer = (files) => {
    const field = document.querySelector("input[type=file]");
    const file = [...files].find((f) => f.type.startsWith("image/")) ?? files[0];
    if (!field || !file) return;
    const transfer = new DataTransfer();
    transfer.items.add(file);
    field.files = transfer.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const dropping = (on) => document.body.classList.toggle("dropping", on);

  window.addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    offer(event.clipboardData.files);
  });
  window.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    dropping(true);
  });
  window.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) dropping(false);
  });
  window.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    dropping(false);
    offer(event.dataTransfer.files);
  });

  // --- Drawing: labels arrive as a grey PNG whose values are class ids.

  const view = { name: "classes", opacity: null };
  let labels = { key: null, ids: new Uint8Array(), width: 0, height: 0 };
  const stage = () => document.querySelector(".studio-stage");
  const panel = () => document.querySelector(".studio-panel");
  const classBoxes = () => [...document.querySelectorAll(".studio-panel input[type=checkbox]")];

  const read = async (figure) => {
    const image = new Image();
    image.src = figure.dataset.labels;
    await image.decode();
    const { naturalWidth: width, naturalHeight: height } = image;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, width, height).data;
    const ids = new Uint8Array(width * height);
    for (let i = 0; i < ids.length; i++) ids[i] = pixels[4 * i];
    labels = { key: figure.dataset.key, ids, width, height };
  };

  const paint = () => {
    const figure = stage();
    const { key, ids, width, height } = labels;
    // Stage and panel come one after the other; colours are right once both are there.
    if (figure?.dataset.key !== key || panel()?.dataset.key !== key) return;
    const colours = new Uint8ClampedArray(4 * 256); // RGBA by class id
    for (const { checked, dataset } of classBoxes()) {
      const rgb = parseInt(dataset.colour.slice(1), 16);
      if (checked) colours.set([rgb >> 16, (rgb >> 8) & 255, rgb & 255, 255], 4 * dataset.id);
    }
    const words = new Uint32Array(colours.buffer);
    const picture = new ImageData(width, height);
    const target = new Uint32Array(picture.data.buffer);
    for (let i = 0; i < ids.length; i++) target[i] = words[ids[i]];
    const canvas = figure.querySelector("canvas");
    Object.assign(canvas, { width, height });
    canvas.getContext("2d").putImageData(picture, 0, 0);
    figure.dataset.ready = "";
  };

  const applyView = () => {
    const [figure, controls] = [stage(), panel()];
    if (!figure || !controls) return;
    const slider = controls.querySelector("input[type=range]");
    view.opacity ??= slider.value;
    slider.value = view.opacity;
    slider.nextElementSibling.value = `${view.opacity} %`;
    controls.querySelector(`input[value=${view.name}]`).checked = true;
    controls.dataset.view = figure.dataset.view = view.name;
    figure.style.setProperty("--opacity", view.opacity / 100);
  };

  const refresh = async () => {
    const figure = stage();
    if (!figure) return;
    applyView();
    if (figure.dataset.key !== labels.key) await read(figure);
    if (!("ready" in figure.dataset)) paint();
  };
  new MutationObserver(refresh).observe(document.body, { childList: true, subtree: true });

  document.addEventListener("input", ({ target }) => {
    if (!target.closest(".studio-panel")) return;
    if (target.type === "checkbox") return paint();
    if (target.type === "range") view.opacity = target.value;
    if (target.type === "radio") view.name = target.value;
    applyView();
  });

  // --- The class under the pointer.

  document.addEventListener("pointermove", (event) => {
    const figure = stage();
    const caption = figure?.querySelector(".pointer");
    if (!caption) return;
    const box = figure.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const inside = x >= 0 && y >= 0 && x < box.width && y < box.height;
    const column = Math.floor((x / box.width) * labels.width);
    const row = Math.floor((y / box.height) * labels.height);
    const id = inside ? labels.ids[row * labels.width + column] : null;
    const match = classBoxes().find((input) => Number(input.dataset.id) === id);
    caption.hidden = !match || figure.dataset.key !== labels.key;
    if (caption.hidden) return;
    caption.textContent = match.nextElementSibling.textContent;
    caption.style.setProperty("--colour", match.dataset.colour);
    caption.style.transform = `translate(${x}px, ${y}px)`;
  });

  // What a download of the overlay has to look like.
  window.studioView = () => ({
    opacity: (view.opacity ?? 55) / 100,
    hidden: classBoxes().filter((box) => !box.checked).map((box) => Number(box.dataset.id)),
  });

  refresh();
}
