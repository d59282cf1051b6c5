// Pictures in: dropped anywhere on the page, pasted, or taken by the camera, they go to the
// upload field.

const offer = (files) => {
  const field = document.querySelector("input[type=file]"); // the page's first
  if (!field || !files.length) return;
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
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
