(function () {
  var root = document.documentElement, button = document.getElementById("theme");
  try { if (!root.dataset.theme && localStorage.getItem("theme")) root.dataset.theme = localStorage.getItem("theme"); } catch (e) { /* a file may have no storage */ }
  button.hidden = false;
  button.addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch (e) { /* as above */ }
  });
  // Native tooltips wait a second and do not show on touch: take their text and show it at once.
  var tip = document.createElement("div");
  tip.id = "tip"; tip.hidden = true; tip.setAttribute("aria-hidden", "true");
  document.body.appendChild(tip);
  document.querySelectorAll(".picture title").forEach(function (title) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  });
  function show(event) {
    var mark = event.target.closest && event.target.closest("[data-tip]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    var box = tip.getBoundingClientRect();
    tip.style.left = Math.max(6, Math.min(event.clientX + 12, innerWidth - box.width - 6)) + "px";
    tip.style.top = (event.clientY - box.height - 12 > 0 ? event.clientY - box.height - 12 : event.clientY + 16) + "px";
  }
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  addEventListener("scroll", function () { tip.hidden = true; }, { passive: true });
})();
