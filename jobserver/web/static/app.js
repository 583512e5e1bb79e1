"use strict";

// Everything works without this file. It adds: questions before what can't be taken back, filters, pickers,
// what would run, times that go on, and pages that follow what changes.
(() => {
  const base = document.documentElement.dataset.root; // the path that all of ours are below
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const parse = (text) => new DOMParser().parseFromString(text, "text/html");

  // Questions ----------------------------------------------------------------

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // Lists that are filtered as you type --------------------------------------

  document.addEventListener("input", (event) => {
    const list = event.target.dataset && event.target.dataset.filter;
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of $(list).children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });

  // Menus close when something else is meant ---------------------------------

  const closeMenus = (but) => {
    for (const menu of all("details.menu[open]")) if (menu !== but) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = event.target.closest && event.target.closest("details.menu[open]");
    closeMenus();
    if (menu) $("summary", menu).focus();
  });

  // The branches of the repository that was chosen ----------------------------

  const repo = $("[data-branches]");
  if (repo) {
    const said = $("#branches-said");
    const button = $("button[value=branches]");
    const fill = async () => {
      if (!repo.value.trim()) return;
      said.textContent = "Looking for branches…";
      try {
        const answer = await fetch(`${base}workspaces/new/branches/?repo=${encodeURIComponent(repo.value.trim())}`);
        const found = await answer.json();
        $(repo.dataset.branches).replaceChildren(...found.branches.map((name) => new Option(name, name)));
        said.textContent = found.said;
      } catch {
        said.textContent = "Branches can't be looked up now: type the name.";
      }
    };
    repo.addEventListener("change", fill);
    button.addEventListener("click", (event) => {
      event.preventDefault();
      fill();
    });
    fill();
    const list = $("#repos[data-more]");
    if (list) fetch(list.dataset.more).then((answer) => answer.json()).then((found) => {
      list.replaceChildren(...found.repositories.map((name) => new Option(name, name)));
      $("#repos-said").textContent = parse(found.said).body.textContent;
    }).catch(() => {}); // what was offered at first stays
  }

  // What would run: the server is asked, so that there is one answer -----------

  const form = $("#run");
  const wouldRun = $("#would-run");
  if (form && wouldRun) {
    const boxes = () => all("[data-action]", form);
    const run_all = $("[data-all]", form);
    let asked = 0;
    $("[data-preview]", form).hidden = true;
    const explain = async () => {
      const number = ++asked;
      const fields = new URLSearchParams(new FormData(form));
      for (const name of ["form", "once"]) fields.delete(name);
      if (String(fields).length > 8000) {
        wouldRun.textContent = "So many actions are chosen that what would run is not told before.";
        return;
      }
      try {
        const answer = await fetch(`${form.action}?${fields}`);
        const fresh = answer.ok && $("#would-run", parse(await answer.text()));
        if (fresh && number === asked) wouldRun.replaceChildren(...fresh.childNodes);
      } catch {
        wouldRun.textContent = "What would run can't be asked now.";
      }
    };
    form.addEventListener("change", (event) => {
      if (event.target === run_all && run_all.checked) boxes().forEach((box) => { box.checked = false; });
      if (event.target.matches("[data-action]") && event.target.checked) run_all.checked = false;
      explain();
    });
    const choose = $("[data-choose]", form);
    if (choose) choose.addEventListener("click", (event) => {
      event.preventDefault();
      const wanted = choose.dataset.choose.split(" ");
      run_all.checked = false;
      boxes().forEach((box) => { box.checked = wanted.includes(box.value); });
      explain();
    });
  }

  // Times go on ----------------------------------------------------------------

  const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const relative = (milliseconds) => {
    const seconds = Math.trunc(milliseconds / 1000);
    if (Math.abs(seconds) < 5) return "just now";
    const [size, unit] = units.find(([one]) => Math.abs(seconds) >= one);
    const count = Math.trunc(Math.abs(seconds) / size);
    const said = `${count} ${unit}${count === 1 ? "" : "s"}`;
    return seconds > 0 ? `${said} ago` : `in ${said}`;
  };
  const clock = $("main").dataset.now ? Date.parse($("main").dataset.now) - Date.now() : 0; // the server's, not ours
  setInterval(() => {
    for (const one of all("time[datetime]")) {
      const said = relative(Date.now() + clock - Date.parse(one.dateTime));
      if (one.textContent !== said) one.textContent = said;
    }
  }, 10000);

  // Live: the server says that something changed; the page is fetched anew and its content swapped -------

  const main = $("main[data-live]");
  if (!main || !window.EventSource) return;
  const lost = $("#lost");
  const parts = () => (main.dataset.livePart || "main").split(",");
  const isTyping = () => {
    const at = document.activeElement;
    return main.contains(at) && at.matches("input:not([type=checkbox]), select, textarea")
      && parts().some((part) => $(part) && $(part).contains(at));
  };

  // What a person did to the page stays: open details, chosen boxes, where lists are scrolled to, the focus.
  const named = (one) => `${one.getAttribute("name")}=${one.value}`;
  const keep = (root) => ({
    open: all("details[open] > summary", root).map((one) => one.textContent),
    chosen: all("input:checked", root).map(named),
    scrolled: all("[role=region]", root).map((one) => [one.getAttribute("aria-label"), one.scrollLeft, one.scrollTop]),
    focus: root.contains(document.activeElement) ? document.activeElement : null,
  });
  const restore = (root, kept) => {
    for (const one of all("details > summary", root)) {
      if (kept.open.includes(one.textContent)) one.parentElement.open = true;
    }
    for (const box of all("input[type=checkbox]", root)) if (kept.chosen.includes(named(box))) box.checked = true;
    const regions = all("[role=region]", root);
    for (const [label, left, top] of kept.scrolled) {
      const region = regions.find((one) => one.getAttribute("aria-label") === label);
      if (region) [region.scrollLeft, region.scrollTop] = [left, top];
    }
    if (!kept.focus) return;
    const same = (one) => one.tagName === kept.focus.tagName && one.getAttribute("href") === kept.focus.getAttribute("href")
      && one.getAttribute("name") === kept.focus.getAttribute("name") && one.value === kept.focus.value;
    const again = all("a, button, summary, input, [tabindex]", root).find(same);
    if (again) again.focus({ preventScroll: true });
  };

  let due = false;
  const refresh = async () => {
    due = isTyping();
    if (due) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === `${base}login/`) {
        location.reload();
        return;
      }
      if (!answer.ok) return;
      const fresh = parse(await answer.text());
      for (const part of parts()) {
        const [old, next] = [$(part), $(part, fresh)];
        if (!old || !next || old.innerHTML === next.innerHTML) continue;
        const kept = keep(old);
        old.replaceChildren(...next.childNodes);
        restore(old, kept);
      }
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
  };

  let source;
  let version = main.dataset.version;
  const connect = () => {
    source = new EventSource(`${base}live/?topic=${encodeURIComponent(main.dataset.live)}`);
    source.addEventListener("hello", (event) => {
      lost.hidden = true;
      if (version !== event.data) refresh(); // it catches up
      version = event.data;
    });
    source.addEventListener("change", (event) => {
      version = event.data;
      refresh();
    });
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
