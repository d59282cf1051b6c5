// A picture from the camera: the stage shows what it sees until one is taken.

const camera = async () => {
  const place = document.querySelector("#stage");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
  } catch {
    return alert("The camera cannot be used. Allow it in the browser; it needs https.");
  }
  const finder = document.createElement("div");
  finder.className = "camera";
  finder.innerHTML =
    '<video autoplay playsinline muted></video><div><button type="button">Take picture</button>' +
    '<button type="button">Close</button></div>';
  const video = finder.querySelector("video");
  const [take, close] = finder.querySelectorAll("button");
  const end = () => {
    for (const track of stream.getTracks()) track.stop();
    finder.remove();
  };
  video.srcObject = stream;
  close.addEventListener("click", end);
  finder.addEventListener("keydown", ({ key }) => key === "Escape" && end());
  take.addEventListener("click", () => {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: video.videoWidth, height: video.videoHeight });
    canvas.getContext("2d").drawImage(video, 0, 0);
    canvas.toBlob((blob) => {
      offer([new File([blob], "camera.png", { type: "image/png" })]);
      end();
    }, "image/png");
  });
  place.append(finder);
  take.focus();
};

document.addEventListener("click", ({ target }) => {
  if (target.matches(".open-camera")) camera();
});
