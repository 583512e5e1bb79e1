"use strict";
// Everything works without this file; it adds liveness, filters and pickers.
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Asks before what can't be taken back.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // Lists that are filtered as you type.
  document.addEventListener("input", (event) => {
    const list = event.target.dataset && event.target.dataset.filter;
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of $(list).children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });

  // The branches of the repository that was chosen.
  const repo = $("[data-branches]");
  if (repo) {
    const fill = async () => {
      if (!repo.value.trim()) return;
      const said = $("#branches-said");
      said.textContent = "Looking for branches…";
      try {
        const answer = await fetch(`/workspaces/new/branches/?repo=${encodeURIComponent(repo.value.trim())}`);
        const found = await answer.json();
        $(repo.dataset.branches).replaceChildren(...found.branches.map((name) => new Option(name, name)));
        said.textContent = found.problem || `${found.branches.length} branches: type to choose`;
      } catch { said.textContent = "Branches can't be looked up now: type the name."; }
    };
    repo.addEventListener("change", fill);
    fill();
  }

  // What would run: what was chosen, and what that needs.
  const choices = () => all("[data-action]");
  const explain = () => {
    const hint = $("#would-run");
    if (!hint) return;
    const chosen = choices().filter((box) => box.checked);
    const keep = $("button", hint);
    if (!chosen.length) { hint.replaceChildren(...(keep ? [keep] : [])); return; }
    const needs = new Map(choices().map((box) => [box.value, box.dataset.needs.split(" ").filter(Boolean)]));
    const seen = new Set();
    const visit = (name) => { if (!seen.has(name) && needs.has(name)) { seen.add(name); needs.get(name).forEach(visit); } };
    chosen.forEach((box) => visit(box.value));
    const more = [...seen].filter((name) => !chosen.some((box) => box.value === name));
    const text = more.length ? `Would also run, unless it has succeeded before: ${more.join(", ")}. ` : "Nothing else is needed. ";
    hint.replaceChildren(text, ...(keep ? [keep] : []));
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]") && event.target.checked) choices().forEach((box) => { box.checked = false; });
    if (event.target.matches("[data-action]") && event.target.checked && $("[data-all]")) $("[data-all]").checked = false;
    if (event.target.matches("[data-all], [data-action]")) explain();
  });
  document.addEventListener("click", (event) => {
    const wanted = event.target.dataset && event.target.dataset.choose;
    if (!wanted) return;
    choices().forEach((box) => { box.checked = wanted.split(" ").includes(box.value); });
    explain();
  });
  explain();

  // Live: the server says that something changed; then this page is fetched anew and its content swapped.
  const main = $("main[data-live]");
  if (!main || !window.EventSource) return;
  const lost = $("#lost");
  const inUse = () => main.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")
    || all("input:checked", main).length > 0 && !main.dataset.livePart;
  let due = false;
  const refresh = async () => {
    if (inUse()) { due = true; return; }
    due = false;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === "/login/") { location.reload(); return; }
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of (main.dataset.livePart || "main").split(",")) {
        const [old, next] = [$(part), $(part, fresh)];
        if (!old || !next || old.innerHTML === next.innerHTML) continue;
        const open = all("details[open] > summary", old).map((one) => one.textContent);
        const focus = document.activeElement && old.contains(document.activeElement) && document.activeElement.getAttribute("href");
        old.replaceChildren(...next.childNodes);
        all("details > summary", old).forEach((one) => { if (open.includes(one.textContent)) one.parentElement.open = true; });
        if (focus) { const again = all("a", old).find((one) => one.getAttribute("href") === focus); if (again) again.focus(); }
      }
      lost.hidden = true;
    } catch { lost.hidden = false; }
  };
  let source, version = main.dataset.version;
  const connect = () => {
    source = new EventSource(`/live/?topic=${encodeURIComponent(main.dataset.live)}`);
    source.addEventListener("hello", (event) => {
      lost.hidden = true;
      if (version !== event.data) refresh(); // it catches up
      version = event.data;
    });
    source.addEventListener("change", (event) => { version = event.data; refresh(); });
    source.onerror = () => {
      lost.hidden = false;
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
    };
  };
  connect();
  window.addEventListener("pagehide", () => source.close());
  document.addEventListener("focusout", () => { if (due) setTimeout(refresh, 300); });
  if (main.dataset.every) setInterval(refresh, Number(main.dataset.every) * 1000);
})();

// A page from the browser's memory is old, and its forms were sent.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
