// What a script adds to the pages: all of them can be read without it, filters are forms and state is in the address.

const me = document.querySelector("script[data-charts]");
const root = document.documentElement;

// -- light and dark ---------------------------------------------------------------------------------

const dark = matchMedia("(prefers-color-scheme: dark)");
let printing = false;
// Paper is light.
const isDark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);

for (const button of document.querySelectorAll("[data-theme-switch]")) {
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not kept */ }
    redraw();
  });
}
dark.addEventListener("change", () => redraw());

// -- charts ------------------------------------------------------------------------------------------

let library;
let palette;
const drawn = new Map();

/** The drawing library and the palette, fetched when the first chart comes into sight. */
function ready() {
  library ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = me.dataset.charts;
    script.onload = () => done(window.vegaEmbed);
    script.onerror = () => failed(new Error("The drawing library did not load."));
    document.head.append(script);
  });
  palette ??= fetch(me.dataset.palette).then((answer) => answer.json());
  return Promise.all([library, palette]);
}

/** A copy of a spec in dark colours; its data is left alone. */
function recolour(node, swap) {
  if (typeof node === "string") return swap[node] ?? node;
  if (Array.isArray(node)) return node.map((each) => recolour(each, swap));
  if (node === null || typeof node !== "object") return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => [key, key === "data" || key === "datasets" ? value : recolour(value, swap)]),
  );
}

const several = (spec) => ["hconcat", "vconcat", "concat", "facet", "repeat"].some((kind) => kind in spec);

/** The spec at the width of its place. */
function fitted(spec, width) {
  const copy = structuredClone(spec);
  copy.background = "transparent";
  if (!several(copy) && typeof copy.width === "number") {
    copy.width = width;
    copy.autosize = { type: "fit-x", contains: "padding" };
  }
  if (copy.vconcat) {
    for (const view of copy.vconcat) if (typeof view.width === "number") view.width = Math.max(140, width - 70);
  }
  return copy;
}

async function draw(place) {
  const [embed, swap] = await ready();
  const spec = JSON.parse(place.querySelector("script").textContent);
  const width = Math.floor(place.clientWidth);
  if (!width) return;
  let canvas = place.querySelector(".canvas");
  if (!canvas) {
    canvas = document.createElement("div");
    canvas.className = "canvas";
    // The place has a text of its own and a table beside it: the marks are not read out one by one.
    canvas.setAttribute("aria-hidden", "true");
    place.append(canvas);
  }
  drawn.get(place)?.finalize();
  const shape = fitted(spec, width);
  const turned = isDark();
  const result = await embed(canvas, turned ? recolour(shape, swap) : shape, {
    ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip: { theme: "own", disableDefaultStyle: true },
    mode: "vega-lite", logLevel: 1,
  });
  drawn.set(place, result);
  place.dataset.width = width;
  place.classList.toggle("turned", turned);
  place.classList.add("drawn");
  if (place.dataset.drill) {
    const targets = JSON.parse(place.dataset.drill);
    place.classList.add("drill");
    result.view.addEventListener("click", (_, item) => {
      const address = item && item.datum && target(item.datum, targets);
      if (address) location.href = address;
    });
  }
}

/** Where a click on a mark leads: the address of one of its values. */
function target(datum, targets) {
  for (const value of Object.values(datum)) {
    const name = value instanceof Date ? value.toISOString().slice(0, 10) : String(value);
    if (Object.hasOwn(targets, name)) return targets[name];
    // Times are of UTC in every chart.
    if (typeof value === "number" && value > 1e11) {
      const day = new Date(value).toISOString().slice(0, 10);
      if (Object.hasOwn(targets, day)) return targets[day];
    }
  }
  return null;
}

function tell(place, error) {
  const line = document.createElement("p");
  line.className = "small muted";
  line.textContent = `Not drawn (${error.message ?? error}); the numbers are in the table below.`;
  place.replaceChildren(...place.querySelectorAll("script"), line);
  place.classList.add("drawn");
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    draw(entry.target).catch((error) => tell(entry.target, error));
  }
}, { rootMargin: "300px" });

function redraw() {
  for (const place of drawn.keys()) if (!place.isConnected) drawn.delete(place);
  return Promise.all([...drawn.keys()].map((place) => draw(place).catch((error) => tell(place, error))));
}

/** Print the page as a whole: its parts fetched, its charts drawn, in light colours. */
async function printWhole() {
  while (document.querySelector("[data-src][aria-busy]")) {
    await Promise.all([...document.querySelectorAll("[data-src][aria-busy]")].map(fill));
  }
  printing = true;
  await Promise.all([...document.querySelectorAll("[data-chart]:not(.drawn)")].map(draw));
  await redraw();
  print();
  printing = false;
  redraw();
}

let resizing;
addEventListener("resize", () => {
  clearTimeout(resizing);
  resizing = setTimeout(() => {
    for (const place of drawn.keys()) {
      if (place.isConnected && Math.abs(place.clientWidth - Number(place.dataset.width)) > 8) draw(place);
    }
  }, 150);
});

// -- parts that come later ---------------------------------------------------------------------------

const waiting = [];
let running = 0;

/** Fetch a part, once even where it is asked for twice. */
function fill(place) {
  place.coming ??= fetched(place).finally(() => { delete place.coming; });
  return place.coming;
}

async function fetched(place) {
  try {
    const address = new URL(place.dataset.src, location.href);
    // Charts are laid out for the width of their place: how many columns a legend has, which labels fit.
    address.searchParams.set("w", Math.max(300, place.clientWidth - 40));
    const answer = await fetch(address, { headers: { "X-Part": "1" } });
    // Signed out meanwhile: the page itself leads to the way in.
    if (answer.redirected) { location.reload(); return; }
    // A refusal is a part too, and says what to do.
    if (!answer.ok && (answer.status >= 500 || answer.status === 429)) throw new Error(`the server answered ${answer.status}`);
    place.innerHTML = await answer.text();
    start(place);
  } catch (error) {
    const line = document.createElement("div");
    line.className = "notice warn";
    line.textContent = `This part did not load: ${error.message}. `;
    const again = document.createElement("button");
    again.className = "tight";
    again.textContent = "Try again";
    again.addEventListener("click", () => fill(place));
    line.append(again);
    place.replaceChildren(line);
  }
  place.removeAttribute("aria-busy");
}

function next() {
  while (running < 4 && waiting.length) {
    running += 1;
    fill(waiting.shift()).finally(() => { running -= 1; next(); });
  }
}

const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    near.unobserve(entry.target);
    waiting.push(entry.target);
  }
  next();
}, { rootMargin: "600px" });

// -- small helps -------------------------------------------------------------------------------------

export function toast(text) {
  const note = document.createElement("div");
  note.className = "toast";
  note.textContent = text;
  document.querySelector(".toasts").append(note);
  setTimeout(() => note.remove(), 4000);
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    try {
      await navigator.clipboard.writeText(copy.dataset.copy || location.href);
      toast(copy.dataset.copied || "Link copied");
    } catch { toast("Copying is not allowed here: take it from the address bar."); }
  }
  const open = event.target.closest("[data-dialog]");
  if (open) document.getElementById(open.dataset.dialog).showModal();
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  if (event.target.closest("[data-print]")) printWhole();
  for (const menu of document.querySelectorAll("details.pop[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.pop[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  const typing = event.target.matches("input, select, textarea, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector("[type=search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  }
});

/** A form whose choices count at once; empty fields stay out of the address. */
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (form && event.target.matches("select, input[type=date], input[type=checkbox]")) form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "get") {
    for (const button of form.querySelectorAll("button:not([type=button])")) setTimeout(() => { button.disabled = true; });
    return;
  }
  for (const field of form.elements) {
    if (field.name && field.value === "" && !field.disabled) {
      field.disabled = true;
      setTimeout(() => { field.disabled = false; });
    }
  }
});

function start(part) {
  for (const place of part.querySelectorAll("[data-chart]")) seen.observe(place);
  for (const place of part.querySelectorAll("[data-src]")) near.observe(place);
}
start(document);
