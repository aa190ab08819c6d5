"use strict";
// Shows what the server says, keeps an answer until the server has it on disk, and never moves on before.
const $ = (id) => document.getElementById(id);
const here = location.pathname;
const PENDING = "pending " + here;
const viewers = [new Viewer($("image0"), changed), new Viewer($("image1"), changed)];
let state = null, chosen = null, sure = null, reasons = new Set(), busy = false, paused = false, card = null;
let activeMs = 0, since = null, windowName = "", deadline = null, next = null, failed = false;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (text) => { $("message").textContent = text; };
const nonce = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (b) => b.toString(16).padStart(2, "0")).join("");

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  Object.assign(made, attributes);
  return made;
}

async function call(path, body) {
  // A server that is away for a while is no end: the same request again, until it answers.
  for (let wait = 300; ; wait = Math.min(wait * 1.6, 5000)) {
    try {
      const options = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
      const response = await fetch(here + path, { ...options, cache: "no-store" });
      if (response.status < 500) {
        if (failed) say("");
        failed = false;
        return response;
      }
    } catch (error) { /* not reached: below */ }
    failed = true;
    say("The connection is lost. Your answer is kept here and sent as soon as it is back.");
    await sleep(wait);
  }
}

async function pixels(phase, position, which) {
  const response = await call(`image/${phase}/${position}/${which}`);
  if (!response.ok) throw new Error("image");
  return new Int16Array(await response.arrayBuffer());
}

function cover(build, key) {
  card = key;
  document.body.dataset.card = key;
  stopClock();
  const target = $("cover-card");
  target.replaceChildren();
  build(target);
  $("cover").hidden = false;
  const first = target.querySelector("button, select, input");
  if (first) first.focus({ preventScroll: true });
}

function uncover() { card = null; document.body.dataset.card = ""; $("cover").hidden = true; startClock(); }
function startClock() { if (since === null && state && state.status === "reading" && !card) since = performance.now(); }
function stopClock() { if (since !== null) { activeMs += performance.now() - since; since = null; } }

function words(target, title, ...lines) {
  target.append(element("h2", title), ...lines.map((line) => element("p", line)));
}

function goButton(target, label, act) {
  const button = element("button", label, { className: "go", onclick: act });
  target.append(button);
  return button;
}

async function load(intro) {
  busy = true;
  const response = await call("state");
  state = await response.json();
  if (response.status === 404) { location.reload(); return; }
  const pending = JSON.parse(localStorage.getItem(PENDING) || "null");
  if (pending && state.status === "reading") {
    localStorage.removeItem(PENDING);
    if (pending.phase === state.phase && pending.position === state.position) { busy = false; await send(pending); return; }
  }
  $("title").textContent = state.title || "";
  $("notice").textContent = state.notice || "";
  $("notice").hidden = !state.notice;
  document.title = state.title || "Closed";
  viewers.forEach((v) => v.clear());
  $("panel").hidden = state.status !== "reading";
  $("tools").hidden = state.status !== "reading";
  if (state.status !== "reading") { $("progress").textContent = ""; next = null; }
  if (state.status === "closed") cover((t) => words(t, "This study is closed", "It takes no more answers. Everything that you have answered has been kept. Thank you."), "end");
  if (state.status === "done") cover((t) => words(t, "Finished", "You have answered everything, and every answer has been kept. Thank you. You can close this page."), "end");
  if (state.status === "wait") cover((t) => words(t, "Until the next part", `This part opens on ${new Date(state.until).toLocaleString()}. Please open the same link then.`), "end");
  if (state.status === "sign in") signIn();
  if (state.status === "reading") await read(intro);
  busy = false;
}

function signIn() {
  cover((target) => {
    words(target, `Welcome, ${state.reader}`, "Before you begin, a word about yourself. This is asked once.");
    for (const [name, field] of Object.entries(state.fields)) {
      const label = element("label", "", { className: "field" });
      const input = field.options ? element("select", "", { name }) : element("input", "", { name, type: "text", inputMode: "numeric" });
      if (field.options) input.append(...["", ...field.options].map((o) => element("option", o || "please choose", { value: o })));
      label.append(element("span", field.label), input);
      target.append(label);
    }
    const message = element("p", "");
    goButton(target, "Begin", async () => {
      const about = {};
      target.querySelectorAll("select, input").forEach((i) => { about[i.name] = i.value; });
      const response = await call("sign-in", about);
      if (response.ok) await load(true);
      else message.textContent = ((await response.json()).error || "").replaceAll("_", " ");
    });
    target.append(message);
  }, "sign in");
}

async function read(intro) {
  const q = state.question, [depth, side] = q.grid;
  chosen = null; sure = null; reasons = new Set();
  activeMs = 0; since = null; deadline = null;
  $("progress").textContent = `${state.position + 1} of ${state.total}` + (state.warmup ? " · practice, not counted" : "");
  $("bar").firstElementChild.style.width = `${100 * state.position / state.total}%`;
  $("question").textContent = q.text;
  $("clues").textContent = q.clues || ""; $("clues").hidden = !q.clues;
  $("choices").replaceChildren(...q.choices.map((c) => {
    const b = element("button", c.label, { onclick: () => choose(c.value) });
    b.dataset.value = c.value; b.append(element("kbd", c.key));
    return b;
  }));
  $("slider-row").hidden = !q.slider;
  if (q.slider) { $("slider").value = 50; $("low").textContent = q.slider[0]; $("high").textContent = q.slider[1]; }
  $("sure-row").hidden = !q.sure;
  $("sure").replaceChildren(...[1, 2, 3, 4, 5].map((n) => element("button", String(n), { onclick: () => setSure(n), title: n === 1 ? "a guess" : n === 5 ? "certain" : "" })));
  $("reasons-row").hidden = true;
  $("reasons").replaceChildren(...q.reasons.map((r) => element("button", r, { onclick: (e) => { reasons.has(r) ? reasons.delete(r) : reasons.add(r); e.target.classList.toggle("on", reasons.has(r)); } })));
  $("remark").value = ""; $("remark-label").textContent = q.remark;
  $("undo").disabled = !state.can_undo;
  $("next").disabled = true;
  $("image1").hidden = q.images < 2;
  $("presets").replaceChildren(...q.windows.map((w, n) => element("button", w.name, { onclick: () => preset(n), disabled: q.locked })));
  let images;
  try {
    images = next && next.key === `${state.phase}/${state.position}` ? await next.images : await fetchImages(state.position, q.images);
  } catch (error) { await load(); return; }
  next = null;
  viewers.forEach((v, n) => { v.locked = q.locked; v.canMark = q.mark; if (images[n]) v.show(images[n], depth, side); });
  preset(q.window);
  if (document.activeElement && document.activeElement !== document.body) document.activeElement.blur();
  if (intro) introduce(); else uncover();
  document.body.dataset.at = `${state.phase}/${state.position}`;
  if (q.limit_s) deadline = q.limit_s * 1000;
  if (state.position + 1 < state.total) {
    next = { key: `${state.phase}/${state.position + 1}`, images: fetchImages(state.position + 1, q.images) };
    next.images.catch(() => {});
  }
}

const fetchImages = (position, count) => Promise.all(Array.from({ length: count }, (_, n) => pixels(state.phase, position, n)));

function introduce() {
  const q = state.question;
  cover((target) => {
    words(target, state.position ? "Welcome back" : state.phase ? "The next part" : "Before you begin",
      `${state.total} images, one at a time${state.position ? `; you go on at ${state.position + 1}` : ""}. You can pause, or close the page, at any time: every answer is kept.`, q.text);
    if (q.clues) target.append(element("p", q.clues));
    keys(target);
    goButton(target, "Begin", uncover);
  }, "intro");
}

function keys(target) {
  const q = state.question, table = element("table");
  const rows = [...q.choices.map((c) => [c.key, c.label]), ...(q.slider ? [["← →", "move the slider"]] : []), ...(q.sure ? [["← →", "how sure, 1 (a guess) to 5 (certain)"]] : []),
    ["Space, Enter", "next"], ["R", "remark (Esc leaves it)"], ["W", "next window preset"], ["drag", "window width and level"], ["+ − 0, wheel", "zoom, reset"], ["Shift + drag", "move the image"],
    ...(q.grid[0] > 1 ? [["↑ ↓, wheel", "scroll through the slices"]] : []), ["U", "undo the last answer"], ["P", "pause"]];
  table.append(...rows.map(([k, what]) => { const tr = element("tr"); tr.append(element("td", k), element("td", what)); return tr; }));
  target.append(table);
}

function preset(n) {
  const q = state.question, w = q.windows[n];
  windowName = w.name;
  viewers.forEach((v) => v.setWindow(w.center, w.width));
  [...$("presets").children].forEach((b, k) => b.classList.toggle("on", k === n));
  changed(viewers[0]);
}

function changed(viewer, free) {
  if (free) {
    windowName = `free ${Math.round(viewer.center)}/${Math.round(viewer.width)}`;
    viewers.forEach((v) => { if (v !== viewer) v.setWindow(viewer.center, viewer.width); });
    [...$("presets").children].forEach((b) => b.classList.remove("on"));
  }
  const slice = viewer.depth > 1 ? ` · slice ${viewer.k + 1} of ${viewer.depth}` : "";
  $("values").textContent = viewer.width ? `L ${Math.round(viewer.center)} W ${Math.round(viewer.width)}${slice}` : "";
}

function choose(value) {
  if (busy || card) return;
  chosen = value;
  [...$("choices").children].forEach((b) => b.classList.toggle("on", b.dataset.value === value));
  $("reasons-row").hidden = !state.question.reasons.length || value !== state.question.reasons_for;
  $("next").disabled = false;
}

function setSure(n) {
  sure = Math.min(5, Math.max(1, n));
  [...$("sure").children].forEach((b, k) => b.classList.toggle("on", k + 1 === sure));
}

function slide(by) {
  const slider = $("slider");
  slider.value = Number(slider.value) + by;
  chosen = slider.value; $("next").disabled = false;
}

async function submit() {
  if (busy || card || chosen === null) return;
  if (state.question.mark && chosen === "yes" && !viewers[0].mark) { say("Please click on the lesion in the image."); return; }
  stopClock();
  const mark = viewers[0].mark || {};
  await send({ phase: state.phase, position: state.position, nonce: nonce(), answer: chosen, sure, reasons: [...reasons], remark: $("remark").value,
    seconds: Math.round(activeMs) / 1000, window: windowName, mark_x: mark.x, mark_y: mark.y });
}

async function send(answer) {
  busy = true;
  document.body.dataset.at = "";
  $("next").disabled = true;
  localStorage.setItem(PENDING, JSON.stringify(answer));
  const response = await call("answer", answer);
  localStorage.removeItem(PENDING);
  busy = false;
  if (response.status === 422) { say((await response.json()).error); $("next").disabled = false; startClock(); return; }
  say("");
  const feedback = response.ok ? (await response.json()).done : null;
  if (!feedback) { await load(); return; }
  cover((target) => {
    words(target, feedback.right === null ? "No answer to judge" : feedback.right ? "Right" : "Wrong", feedback.text);
    target.firstChild.className = feedback.right ? "right" : "wrong";
    goButton(target, "Next", () => load());
  }, "feedback");
}

async function undo() {
  if (busy || card || !state.can_undo) return;
  busy = true;
  document.body.dataset.at = "";
  await call("undo", {});
  next = null;
  await load();
}

function pause() {
  if (busy || card) return;
  paused = true;
  cover((target) => { words(target, "Paused", "The clock has stopped. You can also close this page and come back with the same link."); goButton(target, "Go on", () => { paused = false; uncover(); }); }, "pause");
}

function help() { if (!busy && !card) cover((t) => { words(t, "Keys"); keys(t); goButton(t, "Back", uncover); }, "help"); }

document.addEventListener("visibilitychange", () => { document.hidden ? stopClock() : startClock(); });
$("slider").addEventListener("input", () => { chosen = $("slider").value; $("next").disabled = false; });
for (const [id, act] of [["next", submit], ["undo", undo], ["pause", pause], ["help", help], ["fit", () => viewers.forEach((v) => v.fit())]]) $(id).addEventListener("click", act);

document.addEventListener("keydown", (e) => {
  if (!state || e.ctrlKey || e.metaKey || e.altKey) return;
  const typing = ["TEXTAREA", "INPUT", "SELECT"].includes(e.target.tagName) && e.target.type !== "range";
  if (card) {
    if ((e.key === " " || e.key === "Enter") && !typing && e.target.tagName !== "BUTTON") { const go = document.querySelector("#cover-card .go"); if (go) { e.preventDefault(); go.click(); } }
    return;
  }
  if (typing) {
    if (e.key === "Escape") e.target.blur();
    if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); e.target.blur(); submit(); }
    return;
  }
  if (state.status !== "reading") return;
  const q = state.question, stack = q.grid[0] > 1, side = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
  const choice = q.choices.find((c) => c.key === e.key);
  const acts = { " ": submit, Enter: submit, r: () => $("remark").focus(), u: undo, Backspace: undo, p: pause, "?": help, 0: () => viewers.forEach((v) => v.fit()),
    "+": () => viewers.forEach((v) => v.zoomBy(1.25)), "=": () => viewers.forEach((v) => v.zoomBy(1.25)), "-": () => viewers.forEach((v) => v.zoomBy(0.8)),
    w: () => { if (!q.locked) { const at = q.windows.findIndex((w) => w.name === windowName); preset((at + 1) % q.windows.length); } } };
  if (choice) choose(choice.value);
  else if (side && q.slider) slide(side * (e.shiftKey ? 1 : 5));
  else if (side && q.sure) setSure(sure === null ? 3 : sure + side);
  else if (stack && (e.key === "ArrowUp" || e.key === "ArrowDown")) viewers.forEach((v) => v.scroll(e.key === "ArrowDown" ? 1 : -1));
  else if (acts[e.key.toLowerCase()] || acts[e.key]) (acts[e.key.toLowerCase()] || acts[e.key])();
  else return;
  e.preventDefault();
});

setInterval(() => {
  // A study's time limit: the image goes, the question stays.
  if (deadline === null || card || busy || since === null) return;
  if (activeMs + performance.now() - since > deadline) { viewers.forEach((v) => v.clear()); say("Time is up: please answer from what you have seen."); deadline = null; }
}, 200);

load(true);
