// Uploads, and the keys that act anywhere but in a field.
(() => {
  const say = (text) => window.trame && window.trame.state.set("upload_says", text);

  function send(files) {
    if (!files.length) return;
    const form = new FormData();
    for (const file of files) form.append("file", file, file.name);
    const request = new XMLHttpRequest();
    let last = -1;
    request.upload.onprogress = (event) => {
      const percent = Math.floor((100 * event.loaded) / event.total);
      if (percent !== last) say(`Uploading: ${(last = percent)} %`);
    };
    // From here on the session says itself what it does with the files.
    request.upload.onloadend = () => say("");
    request.onloadend = () => {
      let words = "";
      if (request.status !== 200) {
        try { words = JSON.parse(request.responseText).error; } catch { words = "The upload did not arrive."; }
      }
      if (words && window.trame) window.trame.state.update({ status: words, failed: true });
    };
    request.open("POST", "upload");
    request.send(form);
  }

  document.addEventListener("change", (event) => {
    if (!event.target.matches("input[data-upload]")) return;
    send([...event.target.files]);
    event.target.value = "";
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    send([...event.dataTransfer.files]);
  });
  // A new result may be below what the panel shows.
  let results = 0;
  new MutationObserver(() => {
    const found = document.querySelectorAll(".result");
    if (found.length > results) found[found.length - 1].scrollIntoView({ block: "nearest" });
    results = found.length;
  }).observe(document.documentElement, { childList: true, subtree: true });
  // Ctrl or Cmd with Z: back; with Shift as well, or with Y: forth again.
  const KEYS = ["b", "m", "n", "p", "s", "k", "x", "Escape"];
  function meant(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.altKey) return "";
    if (!event.ctrlKey && !event.metaKey) return event.repeat || !KEYS.includes(key) ? "" : key;
    if (key === "z") return event.shiftKey ? "redo" : "undo";
    return key === "y" ? "redo" : "";
  }
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input:not([type=checkbox]):not([type=range]), textarea, [role=combobox]")) return;
    const key = meant(event);
    if (!key || !window.trame) return;
    if (key.endsWith("do")) event.preventDefault();
    window.trame.trigger("key", [key]);
  });
})();
