"use strict";
// Renews the status every half minute while the box is ticked and the page is looked at. The page works without it.
const EVERY = 30_000;
const box = document.getElementById("renew");

async function renew() {
  const shown = document.getElementById("status");
  // Whoever reads with the keyboard in a table, or marks a text, must not lose the place.
  if (!box.checked || document.hidden || shown.contains(document.activeElement) || getSelection().type === "Range") return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.redirected) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const status = fresh.getElementById("status");
  if (!status) return;
  shown.replaceWith(status);
  document.title = fresh.title;
  const headline = document.getElementById("headline");
  const words = fresh.getElementById("headline").textContent;
  if (headline.textContent !== words) headline.textContent = words;
}

box.checked = localStorage.getItem("renew") !== "off";
box.closest("label").hidden = false;
box.addEventListener("change", () => localStorage.setItem("renew", box.checked ? "on" : "off"));
setInterval(() => renew().catch(() => {}), EVERY); // unreachable for a while: the next try will tell
