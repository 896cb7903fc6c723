"""A visitor of the pages: signs in, waits until a page is whole, and looks at it as a reader with needs would."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PASSWORD = "a password for tests"
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

#: What makes a page whole: no part on its way, no chart in sight of the reader undrawn.
_WHOLE = """() => ![...document.querySelectorAll("[aria-busy], [data-chart]:not(.drawn)")]
  .some((e) => e.clientWidth && e.checkVisibility())"""

#: What a reader with a keyboard, a screen reader or weak eyes would trip over, one line each.
_TROUBLES = """() => {
  const found = [];
  const shown = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && e.getClientRects().length > 0;
  const said = (e) => (e.getAttribute("aria-label") || e.textContent || e.title || "").trim();
  const what = (e) => e.outerHTML.replace(/\\s+/g, " ").slice(0, 110);
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (!(e.labels && e.labels.length && [...e.labels].some((l) => l.textContent.trim())) && !e.getAttribute("aria-label"))
      found.push("no label: " + what(e));
  for (const e of document.querySelectorAll("button, a[href], summary"))
    if (shown(e) && !said(e)) found.push("no name: " + what(e));
  for (const e of document.querySelectorAll("img:not([alt])")) found.push("no alt: " + what(e));
  for (const e of document.querySelectorAll("svg"))
    if (!e.closest("[aria-hidden=true]") && !(e.getAttribute("role") === "img" && e.getAttribute("aria-label")))
      found.push("svg without text: " + what(e));
  for (const e of document.querySelectorAll("[data-chart]")) {
    if (!e.getAttribute("aria-label")) found.push("chart without text: " + what(e));
    if (!e.closest("figure").querySelector("table, .notice")) found.push("chart without table: " + what(e));
  }
  let level = 0;
  const heads = [...document.querySelectorAll("h1, h2, h3, h4")].filter((h) => shown(h) && !h.closest("dialog"));
  for (const h of heads) {
    const now = Number(h.tagName[1]);
    if (now > level + 1) found.push(`heading jumps from ${level}: ` + what(h));
    level = now;
  }
  if (heads.filter((h) => h.tagName === "H1").length !== 1) found.push("not one h1");
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids.filter((x, i) => ids.indexOf(x) !== i))) found.push("id twice: " + id);
  for (const e of document.querySelectorAll("[aria-labelledby], label[for]")) {
    const id = e.getAttribute("aria-labelledby") || e.getAttribute("for");
    if (!document.getElementById(id)) found.push("points to nothing: " + what(e));
  }
  for (const e of document.querySelectorAll("th:not([scope])")) found.push("th without scope: " + what(e));
  if (!document.documentElement.lang || !document.title.trim()) found.push("no language or title");
  if (!document.querySelector("main")) found.push("no main");
  if (document.documentElement.scrollWidth > innerWidth + 1) {
    const wide = [...document.querySelectorAll("main *")].find((e) => e.getBoundingClientRect().right > innerWidth + 1
      && !e.closest(".scroll, .diagram, .tabs, pre, .plot"));
    found.push(`wider than the window (${document.documentElement.scrollWidth}): ` + (wide ? what(wide) : "?"));
  }
  return found;
}"""

#: Texts whose contrast is under 4.5:1 (3:1 where large), as the browser mixes the colours.
_CONTRAST = """() => {
  const brush = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
    .getContext("2d", { willReadFrequently: true });
  const kept = new Map();
  const rgba = (colour) => {
    if (!kept.has(colour)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = colour;
      brush.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
      kept.set(colour, [r, g, b, a / 255]);
    }
    return kept.get(colour);
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const light = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !e || e.closest("svg, script, style, noscript, [aria-hidden=true], [disabled], .sr")) continue;
    if (!e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const below = ground(e);
    const [a, b] = [light(over(rgba(style.color), below)), light(below)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) found.add(`${ratio.toFixed(2)} "${node.textContent.trim().slice(0, 40)}" in ${e.tagName}.${e.className}`);
  }
  return [...found];
}"""


class Visitor:
    """Somebody with a browser: `page` is what they look at, `complaints` what the browser said about it."""

    def __init__(
        self, chromium: Any, address: str, role: str, states: dict[str, Any], *, phone: bool = False, dark: bool = False,
        script: bool = True,
    ) -> None:
        self.address = address
        self.role = role
        self.complaints: list[str] = []
        self.context = chromium.new_context(
            base_url=address, viewport=PHONE if phone else DESKTOP, color_scheme="dark" if dark else "light",
            java_script_enabled=script, storage_state=states.get(role), reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.context.set_default_timeout(15_000)
        self.page = self.context.new_page()
        self.page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}") if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        if role and role not in states:
            self.sign_in()
            states[role] = self.context.storage_state()

    def sign_in(self) -> None:
        self.page.goto("/sign-in")
        self.page.fill("[name=name]", self.role)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("button.primary")
        self.page.wait_for_url("**/")

    def open(self, path: str) -> Any:
        """Go to a page and wait until its first content is there; returns the answer."""
        return self.page.goto(path, wait_until="domcontentloaded")

    def whole(self) -> None:
        """Wait until all parts of the page are there, those below the window too."""
        for _ in range(150):
            self.page.evaluate("""() => { for (const e of document.querySelectorAll("[aria-busy], [data-chart]:not(.drawn)"))
                if (e.clientWidth && e.checkVisibility()) { e.scrollIntoView({ block: "center" }); break; } }""")
            if self.page.evaluate(_WHOLE):
                break
            self.page.wait_for_timeout(40)
        else:
            raise AssertionError(f"{self.page.url} does not come to rest")
        self.page.evaluate("scrollTo(0, 0)")

    def troubles(self) -> list[str]:
        """What stands in the way of a reader, on the page as it is now."""
        return [*self.page.evaluate(_TROUBLES), *self.page.evaluate(_CONTRAST)]

    def shot(self, folder: Path, name: str) -> None:
        """A photograph of the whole page."""
        self.page.screenshot(path=folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'home'}.png", full_page=True)
