// Ctrl-K: go anywhere by typing a part of its name. The server finds the places.
{
  let requests = 0;
  let chosen = 0;
  const show = (list, input, places) => {
    chosen = 0;
    list.replaceChildren(...places.map((place, number) => {
      const row = document.createElement("li");
      row.id = `place-${number}`;
      row.setAttribute("role", "option");
      row.dataset.url = place.url;
      const kind = Object.assign(document.createElement("small"), { textContent: place.kind });
      row.append(Object.assign(document.createElement("span"), { textContent: place.name }), " ", kind);
      return row;
    }));
    choose(list, input, 0);
  };
  const choose = (list, input, number) => {
    const options = all("[role=option]", list);
    if (!options.length) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    chosen = (number + options.length) % options.length;
    options.forEach((option, place) => option.setAttribute("aria-selected", String(place === chosen)));
    input.setAttribute("aria-activedescendant", options[chosen].id);
    options[chosen].scrollIntoView({ block: "nearest" });
  };
  const go = (option) => { if (option) location.href = new URL(option.dataset.url.slice(1), new URL(base, location.origin)).href; };
  const fill = (article) => {
    article.innerHTML = `<input type="text" role="combobox" aria-expanded="true" aria-controls="places" aria-autocomplete="list"
      aria-label="Go to" placeholder="Go to a workspace, request, project or page" autocomplete="off" spellcheck="false">
      <ul id="places" role="listbox" aria-label="Places"></ul><p class="muted" role="status"></p>`;
    const [input, list, status] = [$("input", article), $("ul", article), $("p", article)];
    const load = async () => {
      const number = ++requests;
      try {
        const answer = await fetch(`${base}live/go/?q=${encodeURIComponent(input.value.trim())}`, { headers: { Accept: "application/json" } });
        if (answer.redirected) location.reload(); // the session has ended
        const { results } = await answer.json();
        if (number !== requests) return;
        show(list, input, results);
        status.textContent = `${results.length} place${results.length === 1 ? "" : "s"}`;
      } catch {
        status.textContent = "The places could not be loaded.";
      }
    };
    let timer;
    let loading = load();
    input.addEventListener("input", () => {
      clearTimeout(timer);
      loading = new Promise((done) => { timer = setTimeout(() => load().then(done), 120); });
    });
    input.addEventListener("keydown", (event) => {
      const steps = { ArrowDown: 1, ArrowUp: -1 };
      if (steps[event.key]) choose(list, input, chosen + steps[event.key]);
      else if (event.key === "Enter") loading.then(() => go(all("[role=option]", list)[chosen])); // not to an old place
      else return;
      event.preventDefault();
    });
    list.addEventListener("click", (event) => go(event.target.closest("[role=option]")));
  };
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    if (!$(".brand") || location.pathname.startsWith(`${base}login/`)) return;
    event.preventDefault();
    const dialog = openDialog("palette", "Go to", fill);
    $("input", dialog).focus();
    $("input", dialog).select();
  });
}
