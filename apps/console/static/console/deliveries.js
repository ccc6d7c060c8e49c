"use strict";
// Renews the figures and draws the chart while the page is looked at. The page works without it.
const LEAST = 4_000, MOST = 60_000;
const live = document.getElementById("live");
const figure = document.getElementById("chart");
let wait = LEAST, tag = live.dataset.tag, chart = null, timer = 0;

function busy() {
  // Whoever reads with the keyboard, or marks a text, must not lose the place.
  return document.hidden || live.contains(document.activeElement) || getSelection().type === "Range";
}

async function renew() {
  const headers = { "X-Live": "1", "If-None-Match": tag };
  const answer = await fetch(location.href, { headers, cache: "no-store", redirect: "manual" });
  if (answer.status === 304) return false;
  if (!answer.ok) throw new Error(String(answer.status));
  const open = live.querySelector(".hours")?.open;
  const html = await answer.text();
  if (busy()) return false; // somebody came here meanwhile: the next time
  tag = answer.headers.get("ETag");
  live.innerHTML = html;
  if (open) live.querySelector(".hours").open = true;
  await draw();
  return true;
}

async function turn() {
  clearTimeout(timer);
  try {
    // What changes is asked for often, what rests ever less.
    if (!busy()) wait = (await renew()) ? LEAST : Math.min(wait * 1.25, 15_000);
  } catch {
    wait = Math.min(wait * 2, MOST); // unreachable for a while: the next try will tell
  }
  timer = setTimeout(turn, wait);
}

async function draw() {
  if (!window.Chart || !live.querySelector(".hours")) return;
  const answer = await fetch(figure.dataset.hours, { cache: "no-store" });
  if (!answer.ok) return;
  const { hours } = await answer.json();
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const columns = ["delivered", "failed"].map((name) => hours.map((hour) => hour[name]));
  const labels = hours.map((hour) => hour.at.slice(11, 16));
  figure.hidden = false;
  if (chart) {
    chart.data.labels = labels;
    columns.forEach((data, index) => { chart.data.datasets[index].data = data; });
    return chart.update("none");
  }
  const bar = (label, data, name) => ({ label, data, backgroundColor: colour(name) });
  const axis = { ticks: { color: colour("--quiet"), precision: 0 }, grid: { color: colour("--line") }, stacked: true };
  chart = new Chart(figure.querySelector("canvas"), {
    type: "bar",
    data: { labels, datasets: [bar(figure.dataset.delivered, columns[0], "--success"), bar(figure.dataset.failed, columns[1], "--danger")] },
    options: {
      animation: false, maintainAspectRatio: false, scales: { x: { ...axis, grid: { display: false } }, y: { ...axis, beginAtZero: true } },
      plugins: { legend: { labels: { color: colour("--text"), boxWidth: 12 } } },
    },
  });
}

draw().catch(() => {});
timer = setTimeout(turn, wait);
document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
