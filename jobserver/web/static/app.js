"use strict";

// Every page works without this file. It adds: confirmation of changes that cannot be undone, filters, pickers,
// previews, relative times that stay correct, and pages that update themselves.
(() => {
  const base = document.documentElement.dataset.root; // the path of BASE_URL
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const parse = (text) => new DOMParser().parseFromString(text, "text/html");

  // Confirmation -------------------------------------------------------------

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // Lists with a filter -------------------------------------------------------

  document.addEventListener("input", (event) => {
    const list = event.target.dataset && event.target.dataset.filter;
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of $(list).children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });

  // Menus close on a click elsewhere and on Escape -----------------------------

  const closeMenus = (except) => {
    for (const menu of all("details.menu[open]")) if (menu !== except) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = event.target.closest && event.target.closest("details.menu[open]");
    closeMenus();
    if (menu) $("summary", menu).focus();
  });

  // New workspace: the branches of the repository, and a list of repositories that takes longer ---

  const repo = $("[data-branches]");
  if (repo) {
    const hint = $("#branches-hint");
    const button = $("button[value=branches]");
    const fill = async () => {
      if (!repo.value.trim()) return;
      hint.textContent = "Loading branches…";
      try {
        const answer = await fetch(`${base}workspaces/new/branches/?repo=${encodeURIComponent(repo.value.trim())}`);
        const list = await answer.json();
        $(repo.dataset.branches).replaceChildren(...list.branches.map((name) => new Option(name, name)));
        hint.textContent = list.hint;
      } catch {
        hint.textContent = "Branches could not be loaded. Type the name of the branch.";
      }
    };
    repo.addEventListener("change", fill);
    button.addEventListener("click", (event) => {
      event.preventDefault();
      fill();
    });
    fill();
    const list = $("#repos[data-more]");
    if (list) fetch(list.dataset.more).then((answer) => answer.json()).then((more) => {
      list.replaceChildren(...more.repositories.map((name) => new Option(name, name)));
      $("#repos-hint").textContent = parse(more.hint).body.textContent;
    }).catch(() => {}); // the first list stays
  }

  // The preview of a request, which the server computes -------------------------

  const form = $("#run");
  const wouldRun = $("#would-run");
  if (form && wouldRun) {
    const boxes = () => all("[data-action]", form);
    const runAll = $("[data-all]", form);
    let requests = 0;
    $("[data-preview]", form).hidden = true;
    const showPreview = async () => {
      const number = ++requests;
      const fields = new URLSearchParams(new FormData(form));
      for (const name of ["form", "once"]) fields.delete(name);
      if (String(fields).length > 8000) {
        wouldRun.textContent = "Too many actions are selected for a preview.";
        return;
      }
      try {
        const answer = await fetch(`${form.action}?${fields}`);
        const fresh = answer.ok && $("#would-run", parse(await answer.text()));
        if (fresh && number === requests) wouldRun.replaceChildren(...fresh.childNodes);
      } catch {
        wouldRun.textContent = "The preview could not be loaded.";
      }
    };
    form.addEventListener("change", (event) => {
      if (event.target === runAll && runAll.checked) boxes().forEach((box) => { box.checked = false; });
      if (event.target.matches("[data-action]") && event.target.checked) runAll.checked = false;
      showPreview();
    });
    const choose = $("[data-choose]", form);
    if (choose) choose.addEventListener("click", (event) => {
      event.preventDefault();
      const chosen = choose.dataset.choose.split(" ");
      runAll.checked = false;
      boxes().forEach((box) => { box.checked = chosen.includes(box.value); });
      showPreview();
    });
  }

  // Relative times stay correct ---------------------------------------------------

  const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const length = (seconds) => {
    const [size, unit] = units.find(([size]) => seconds >= size) || units[3];
    const count = Math.trunc(seconds / size);
    return `${count} ${unit}${count === 1 ? "" : "s"}`;
  };
  const relative = (seconds) => {
    if (Math.abs(seconds) < 5) return "just now";
    return seconds > 0 ? `${length(seconds)} ago` : `in ${length(-seconds)}`;
  };
  const offset = $("main").dataset.now ? Date.parse($("main").dataset.now) - Date.now() : 0; // of the server's clock
  setInterval(() => {
    for (const element of all("time[datetime]")) {
      const seconds = Math.trunc((Date.now() + offset - Date.parse(element.dateTime)) / 1000);
      const text = "span" in element.dataset ? length(Math.abs(seconds)) : relative(seconds);
      if (element.textContent !== text) element.textContent = text;
    }
  }, 10000);

  // Live pages: on an event from the server, the page loads itself again and replaces its content -------

  const main = $("main[data-live]");
  if (!main || !window.EventSource) return;
  const lost = $("#lost");
  const parts = () => (main.dataset.livePart || "main").split(",");
  const isTyping = () => {
    const active = document.activeElement;
    return main.contains(active) && active.matches("input:not([type=checkbox]), select, textarea")
      && parts().some((part) => $(part) && $(part).contains(active));
  };

  // Open details, checked boxes, scroll positions and the focus stay as they are.
  const named = (box) => `${box.getAttribute("name")}=${box.value}`;
  const keep = (root) => ({
    open: all("details[open] > summary", root).map((summary) => summary.textContent),
    chosen: all("input:checked", root).map(named),
    scrolled: all("[role=region]", root).map((region) => [region.getAttribute("aria-label"), region.scrollLeft, region.scrollTop]),
    focus: root.contains(document.activeElement) ? document.activeElement : null,
  });
  const restore = (root, kept) => {
    for (const summary of all("details > summary", root)) {
      if (kept.open.includes(summary.textContent)) summary.parentElement.open = true;
    }
    for (const box of all("input[type=checkbox]", root)) if (kept.chosen.includes(named(box))) box.checked = true;
    const regions = all("[role=region]", root);
    for (const [label, left, top] of kept.scrolled) {
      const region = regions.find((candidate) => candidate.getAttribute("aria-label") === label);
      if (region) [region.scrollLeft, region.scrollTop] = [left, top];
    }
    if (!kept.focus) return;
    const isSame = (element) => element.tagName === kept.focus.tagName && element.value === kept.focus.value
      && ["href", "name"].every((name) => element.getAttribute(name) === kept.focus.getAttribute(name));
    const again = all("a, button, summary, input, [tabindex]", root).find(isSame);
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
      if (version !== event.data) refresh(); // it missed a change
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

// A page from the back-forward cache is out of date, and its forms have been sent.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
