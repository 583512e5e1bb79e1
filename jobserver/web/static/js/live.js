// Live pages: on an event from the server, the page loads itself again and replaces its content.
(() => {
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

  // A form that somebody has begun to fill in is not lost with the session: the server keeps it when it is sent.
  const changed = (field) => field.matches("input[type=checkbox], input[type=radio]") ? field.checked !== field.defaultChecked
    : field.matches("select") ? [...field.options].some((option) => option.selected !== option.defaultSelected)
    : field.value !== field.defaultValue;
  const hasInput = () => all("main input:not([type=hidden], [type=search]), main textarea, main select").some(changed);
  const ended = () => {
    lost.textContent = "Your session has ended. What you have typed is kept: send the form, and log in again.";
    lost.hidden = false;
    isOver = true;
    source.close();
  };

  let isOver = false;
  let due = false;
  const refresh = async () => {
    due = isTyping();
    if (due || isOver) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected && new URL(answer.url).pathname === `${base}login/`) {
        if (hasInput()) ended();
        else location.reload();
        return;
      }
      if (!answer.ok) return;
      const fresh = parse(await answer.text());
      for (const part of parts()) {
        const [old, next] = [$(part), $(part, fresh)];
        if (!old || !next || old.innerHTML === next.innerHTML) continue;
        const kept = keep(old);
        old.replaceChildren(...next.childNodes);
        document.dispatchEvent(new Event("fresh"));
        restore(old, kept);
      }
      document.title = fresh.title;
      const [icon, state] = ["link[rel=icon]", "main"].map((selector) => $(selector, fresh));
      if ($("link[rel=icon]").href !== icon.href) $("link[rel=icon]").href = icon.href;
      if (state.dataset.outcome !== main.dataset.outcome) {
        main.dataset.outcome = state.dataset.outcome;
        main.dispatchEvent(new CustomEvent("outcome"));
      }
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
  };

  let source;
  let version = main.dataset.version;
  const connect = () => {
    if (isOver) return;
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
      if (source.readyState !== EventSource.CLOSED) return;
      refresh(); // the session may have ended
      setTimeout(connect, 5000);
    };
  };
  connect();
  window.addEventListener("pagehide", () => source.close());
  document.addEventListener("focusout", () => { if (due) setTimeout(refresh, 300); });
  if (main.dataset.every) setInterval(refresh, Number(main.dataset.every) * 1000);
})();

// A page from the back-forward cache is out of date, and its forms have been sent.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
