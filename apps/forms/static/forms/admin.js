"use strict";
// Copy buttons, and links from a problem to the row it is in. The page works without either.
document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
    const word = copy.textContent;
    copy.textContent = "✓ " + word;
    setTimeout(() => { copy.textContent = word; }, 1500);
  }
  const link = event.target.closest("[data-open-row]");
  if (link) {
    const input = document.getElementById(link.hash.slice(1));
    const row = input && input.closest(".form-group");
    if (row && window.Alpine) window.Alpine.$data(row).openRow = true;
    if (input) { event.preventDefault(); setTimeout(() => input.focus(), 0); }
  }
});
