// Before the first paint: the reader's own choice of light or dark, where one was made.
try {
  const kept = localStorage.getItem("theme");
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
} catch { /* no storage: the system's setting holds */ }
