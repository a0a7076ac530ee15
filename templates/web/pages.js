// Every page works without this file; it adds comforts.
"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// 1. Times in the reader's zone, unless the page was asked for in UTC. `title` and `datetime` keep UTC.
const inUtc = new URLSearchParams(location.search).get("tz") === "utc";
const two = number => String(number).padStart(2, "0");
const formats = {
  clock: at => `${two(at.getHours())}:${two(at.getMinutes())}`,
  weekday: at => `${at.toLocaleString("en", { weekday: "short" })} ${formats.clock(at)}`,
  day: at => `${at.getDate()} ${at.toLocaleString("en", { month: "short" })}`,
  dayclock: at => `${formats.day(at)} ${formats.clock(at)}`,
  date: at => `${formats.day(at)} ${at.getFullYear()}`,
  heading: at => at.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "long" }),
};
function showLocalTimes(root) {
  if (inUtc) return;
  for (const element of all("time[data-as]", root)) {
    element.textContent = formats[element.dataset.as](new Date(element.dateTime));
  }
  const zone = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(new Date());
  for (const element of all("[data-zone]", root)) {
    element.textContent = zone.find(part => part.type === "timeZoneName").value;
  }
}

// 2. Search as you type: the server answers with the rows.
let waiting = 0;
async function search(form) {
  const wanted = new URL(form.action || location.href);
  wanted.search = new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
  const answer = await fetch(wanted).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  showLocalTimes(page);
  for (const id of form.dataset.live.split(" ")) {
    const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
    if (old && fresh) old.replaceWith(fresh);
  }
  history.replaceState(null, "", wanted);
}
document.addEventListener("input", ({ target }) => {
  if (target.type !== "search" || !target.form?.dataset.live) return;
  clearTimeout(waiting);
  waiting = setTimeout(search, 200, target.form);
});

// 3. Copy, and say so in the button.
function showCopyButtons(root) {
  for (const button of all("[data-copy]", root)) button.hidden = false;
}
document.addEventListener("click", async ({ target }) => {
  if (!target.dataset?.copy) return;
  const said = target.textContent;
  try {
    await navigator.clipboard.writeText(document.getElementById(target.dataset.copy).textContent);
    target.textContent = "Copied";
  } catch {
    target.textContent = "Select and copy it by hand";
  }
  setTimeout(() => { target.textContent = said; }, 2000);
});

// 4. Fresh by itself, but never under the reader's hands.
const every = Number(document.body.dataset.fresh || 0);
const stale = "Not fresh · ";
const isBusy = () => document.hidden || document.activeElement?.closest("form") || String(getSelection())
  || document.querySelector("main details[open]");
async function refresh() {
  if (isBusy()) return;
  const answer = await fetch(location.href).catch(() => null);
  if (!answer?.ok || answer.redirected) {
    document.title = stale + document.title.replace(stale, "");
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (isBusy()) return;
  begin(page);
  for (const part of ["main", ".foot"]) document.querySelector(part).replaceWith(page.querySelector(part));
  document.title = page.title;
}

function begin(root) {
  showLocalTimes(root);
  showCopyButtons(root);
}
begin(document);
if (every) setInterval(refresh, every * 1000);
