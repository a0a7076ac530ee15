"use strict";
const $ = id => document.getElementById(id);
let endpoints = [], scopes = [], state = null, detail = null;

// All text is set as text, never as HTML: targets and names come from requests.
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function ask(path, body) {
  const request = body === undefined ? {} :
    {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  const answer = await fetch("/_sandbox" + path, request);
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error);
  return content;
}

function guarded(action) {
  return async event => {
    if (event) event.preventDefault();
    try { await action(event); $("problem").textContent = ""; }
    catch (problem) { $("problem").textContent = problem.message; }
    await refresh();
  };
}

function fill(select, options, chosen) {
  const wanted = JSON.stringify(options);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...options.map(([value, text]) => element("option", {value, textContent: text})));
  }
  if (document.activeElement !== select) select.value = chosen;
}

const which = () => ({account: $("account").value, key: $("key").value});
const key = () => detail && (detail.keys.find(each => each.label === $("key").value) || detail.keys[0]);

function showSettings() {
  const settings = detail.settings, account = detail.name;
  const change = (name, value) => guarded(() => ask("/settings", {account, settings: {[name]: value}}))();
  const choice = (name, values, read = x => x) => {
    const select = element("select", {onchange: event => change(name, read(event.target.value))});
    fill(select, values.map(value => [value, value === "" ? "no" : value]), String(settings[name] ?? ""));
    return element("label", {}, name.replaceAll("_", " "), select);
  };
  const box = name => element("label", {}, element("input",
    {type: "checkbox", checked: settings[name], onchange: event => change(name, event.target.checked)}),
    name.replaceAll("_", " "));
  const number = name => element("label", {}, name.replaceAll("_", " "), element("input",
    {type: "number", value: settings[name], onchange: event => change(name, Number(event.target.value))}));
  $("settings").replaceChildren(
    // An order that has no name is one of the choices as long as it is set.
    choice("order", [...new Set([...state.choices.order, settings.order])]),
    choice("denial_status", ["401", "403"], Number),
    choice("denial_shape", ["message", "errors"]), choice("retired", ["", ...state.choices.retired], x => x || null),
    number("limit"), number("v3_limit"), number("other_traffic"), box("limit_headers"), box("blocked"),
    choice("non_admin_lists", ["forbidden", "empty"]), box("stale_scopes"));
}

// Checkboxes for endpoints or scopes, by group; `change` is called with a name and whether it is now ticked.
function showChecklist(place, filter, entries, ticked, change) {
  const groups = new Map(), words = filter.value.toLowerCase();
  for (const entry of entries) {
    if (!`${entry.group} ${entry.title} ${entry.name}`.toLowerCase().includes(words)) continue;
    if (!groups.has(entry.group)) groups.set(entry.group, []);
    groups.get(entry.group).push(entry);
  }
  const box = entry => element("input", {type: "checkbox", checked: ticked.has(entry.name),
    onchange: event => guarded(() => change(entry.name, event.target.checked))()});
  place.replaceChildren(...[...groups].map(([group, members]) => element("div", {},
    element("h3", {textContent: group}),
    ...members.map(entry => element("label", {title: entry.name}, box(entry), element("span", {}, entry.title,
      element("br"), element("small", {}, element("code", {textContent: entry.name}))))))));
}

function showPermissions() {
  showChecklist($("permissions"), $("filter"), endpoints, new Set(key() ? key().grants : []), (name, ticked) =>
    ask(ticked ? "/grant" : "/revoke", {...which(), endpoints: [name]}));
}

const whichClient = () => ({account: $("account").value, client: $("client").value});
const client = () => detail && (detail.clients.find(each => each.label === $("client").value) || detail.clients[0]);

function showScopes() {
  showChecklist($("scopes"), $("scope-filter"), scopes, new Set(client() ? client().scopes : []), (name, ticked) =>
    ask(ticked ? "/clients/grant" : "/clients/revoke", {...whichClient(), scopes: [name]}));
}

function showClient() {
  const one = client();
  $("v3").hidden = !one;
  if (!one) return;
  fill($("client"), detail.clients.map(each => [each.label, each.label]), one.label);
  const roles = ["Site Admin", "Job Admin", "Interviewer", "Basic"];
  const known = [...new Set([...roles, one.role].filter(Boolean))];
  fill($("client-role"), [["", "a service user"], ...known.map(role => [role, role])], one.role || "");
  $("client-text").textContent = `${one.client_id} ${one.secret}`;
  $("kill-client").textContent = one.dead ? "Enable client" : "Kill client";
}

function showState() {
  $("totals").replaceChildren(`requests: ${state.requests}, `,
    element("b", {className: state.changes ? "bad" : "good", textContent: `changes: ${state.changes}`}));
  const names = state.accounts.map(account => [account.name, account.name]);
  fill($("account"), names, $("account").value || (names[0] || [""])[0]);
  fill($("everyone-retired"), [["", "no"], ...state.choices.retired.map(x => [x, x])], state.everyone.retired || "");
  $("everyone-blocked").checked = state.everyone.blocked;
  const options = words => words.map(word => [word, word.replaceAll("_", " ")]);
  const form = $("fault").elements, mailForm = $("mail-fault").elements;
  fill(form.kind, options(state.fault_kinds), form.kind.value || "status");
  for (const select of [form.account, $("preset-account")]) fill(select, [["", "all accounts"], ...names], select.value);
  fill(mailForm.kind, options(state.mail_fault_kinds), mailForm.kind.value || "answer");
  fill(mailForm.step, options(state.mail_steps), mailForm.step.value || "rcpt");
}

function showFaults() {
  const faults = [...state.faults.map(fault => ({...fault, side: "Greenhouse", onlyFor: fault.account})),
    ...state.mail.faults.map(fault => ({...fault, side: "mail", onlyFor: fault.recipient}))];
  const on = new Set(faults.map(fault => fault.weather));
  for (const [id, ofMail] of [["presets", false], ["mail-presets", true]])
    redraw($(id), state.weathers.filter(each => each.of_mail === ofMail), [...on], each => element("button", {
      textContent: each.name.replace("mail-", ""), title: each.meaning, className: on.has(each.name) ? "on" : "",
      onclick: guarded(() => activate(each))}));
  redraw($("active-faults"), faults, faults.map(fault => fault.number), fault => element("div", {className: "row"},
    element("button", {textContent: "End", onclick: guarded(() => ask("/faults/clear", {number: fault.number}))}),
    element("div", {},
      element("b", {textContent: fault.weather || `${fault.side}: ${fault.kind.replaceAll("_", " ")}`}), " ",
      element("span"), " ",
      element("small", {textContent: state.weathers.find(each => each.name === fault.weather)?.meaning || ""}))));
  faults.forEach((fault, index) => { $("active-faults").children[index].querySelector("span").textContent =
    `for ${fault.onlyFor || "all"}` + (fault.prefix && fault.prefix !== "/" ? ` on ${fault.prefix}` : "") +
    `, hit ${fault.hits}` + (fault.times === null ? "" : `, ${fault.times} more`) +
    (fault.ends_in === null ? "" : `, ${Math.ceil(fault.ends_in)} s left`); });
}

// Redraw only what changed: a click on a button that is replaced meanwhile would be lost.
function redraw(place, things, drawnFrom, draw) {
  const wanted = JSON.stringify(drawnFrom);
  if (place.dataset.drawnFrom === wanted) return;
  place.dataset.drawnFrom = wanted;
  place.replaceChildren(...things.map(draw));
}

function activate(preset) {
  const onlyFor = preset.of_mail ? {recipient: $("preset-recipient").value || null}
    : {account: $("preset-account").value || null};
  return ask("/weather", {name: preset.name, ...onlyFor, lasts: Number($("preset-lasts").value) || null});
}

// Add only new mails: one that somebody is reading must stay open.
let newestMail = 0;
async function showMails() {
  $("mail-address").textContent = state.mail.address ? `at ${state.mail.address}` : "no mail server runs";
  if (state.mail.count < newestMail) { newestMail = 0; $("mails").replaceChildren(); }
  if (state.mail.count === newestMail) return;
  const {mails} = await ask(`/mails?after=${newestMail}`);
  newestMail = state.mail.count;
  $("mails").prepend(...mails.reverse().map(mail => element("details", {className: "mail", ontoggle: guarded(showMail)},
    element("summary", {}, `${mail.at.slice(11, 19)} to ${mail.recipients.join(", ")}: `,
      element("b", {textContent: mail.subject})))));
  mails.forEach((mail, index) => { $("mails").children[index].dataset.number = mail.number; });
}

async function showMail(event) {
  const box = event.target;
  if (!box.open || box.childElementCount > 1) return;
  const mail = await ask(`/mails/${box.dataset.number}`);
  const page = element("iframe", {title: "As a page", srcdoc: mail.html || ""});
  page.setAttribute("sandbox", "");
  box.append(element("pre", {textContent: mail.text || ""}), ...(mail.html ? [page] : []));
}

async function showRequestLog() {
  const account = $("account").value;
  const [log, changes] = await Promise.all([ask("/ledger?limit=60"), ask("/changes")]);
  $("request-log").replaceChildren(...log.entries.reverse().map(entry => element("tr", {},
    ...[entry.number, entry.at.slice(11, 23), entry.account || "–"].map(text => element("td", {textContent: text})),
    element("td", {}, element("code", {textContent: `${entry.method} ${entry.target}`})),
    element("td", {textContent: entry.status ?? "none"}),
    element("td", {textContent: entry.reason + (entry.fault ? ` (${entry.fault})` : "")}),
    element("td", {textContent: [entry.authorization, entry.on_behalf_of && "on-behalf-of", entry.cookie && "cookie",
      entry.set_cookie && "set-cookie"].filter(Boolean).join(", ")}),
    element("td", {textContent: entry.body_length}))));
  $("changes").replaceChildren(...(changes.count ? [] : [element("span", {className: "good", textContent: "none"})]),
    ...changes.changes.slice(-60).reverse().map(change => element("div", {className: "bad", textContent:
      `#${change.request} ${change.account}: ${change.text}`})));
}

// Redraw the account only if it changed: a click on a box that is replaced meanwhile would be lost.
async function showAccount() {
  const name = $("account").value;
  if (!name) return;
  const fresh = await ask("/accounts/" + encodeURIComponent(name));
  const same = JSON.stringify(fresh) === JSON.stringify(detail);
  detail = fresh;
  fill($("key"), detail.keys.map(each => [each.label, each.label]), key() ? key().label : "");
  $("key-text").textContent = key() ? key().text : "no key";
  $("kill").disabled = $("rotate").disabled = !key();
  $("kill").textContent = key() && key().dead ? "Enable key" : "Kill key";
  showClient();
  if (!same || !$("permissions").childElementCount) { showSettings(); showPermissions(); showScopes(); }
}

async function refresh() {
  try {
    state = await ask("/state");
    showState();
    showFaults();
    await showAccount();
    await showRequestLog();
    await showMails();
  } catch (problem) { $("problem").textContent = problem.message; }
}

$("account").onchange = () => { detail = null; $("token-text").textContent = ""; refresh(); };
$("client").onchange = () => { $("token-text").textContent = ""; showScopes(); refresh(); };
$("scope-filter").oninput = showScopes;
$("kill-client").onclick = guarded(() => ask(client().dead ? "/clients/enable" : "/clients/kill", whichClient()));
$("rotate-client").onclick = guarded(() => ask("/clients/rotate", whichClient()));
$("revoke-tokens").onclick = guarded(() => ask("/clients/revoke-tokens", whichClient()));
$("issue-token").onclick = guarded(async () => {
  $("token-text").textContent = (await ask("/clients/token", whichClient())).token;
});
$("client-role").onchange = guarded(event =>
  ask("/clients/role", {...whichClient(), role: event.target.value || null}));
for (const button of document.querySelectorAll("[data-scopes]"))
  button.onclick = guarded(() => ask("/clients/scopes", {...whichClient(), scopes: button.dataset.scopes}));
$("key").onchange = () => { showPermissions(); refresh(); };
$("filter").oninput = showPermissions;
$("kill").onclick = guarded(() => ask(key().dead ? "/enable" : "/kill", which()));
$("rotate").onclick = guarded(() => ask("/rotate", which()));
$("reset").onclick = guarded(() => ask("/reset", {}));
$("clear-presets").onclick = guarded(() => ask("/weather", {name: "clear"}));
$("everyone-retired").onchange = guarded(event =>
  ask("/settings", {account: null, settings: {retired: event.target.value || null}}));
$("everyone-blocked").onchange = guarded(event =>
  ask("/settings", {account: null, settings: {blocked: event.target.checked}}));
for (const button of document.querySelectorAll("[data-grants]"))
  button.onclick = guarded(() => ask("/grants", {...which(), grants: button.dataset.grants}));
const filledFields = form => Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
$("fault").onsubmit = guarded(event => ask("/faults", filledFields(event.target)));
$("mail-fault").onsubmit = guarded(event => ask("/mail-faults", filledFields(event.target)));

(async () => {
  [endpoints, scopes] = [await ask("/endpoints"), await ask("/scopes")];
  await refresh();
  setInterval(refresh, 2000);
})();
