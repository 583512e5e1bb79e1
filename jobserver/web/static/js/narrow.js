// The jobs of a request, by name and status: what the server's filter shows (views/request_jobs.py), at once.
{
  const narrow = (form) => {
    const list = $(form.dataset.narrow);
    const [name, outcome] = [form.elements.job.value.trim(), form.elements.outcome.value];
    let matching = 0;
    for (const group of all("details[data-outcome]", list)) {
      const isGroup = !outcome || group.dataset.outcome === outcome;
      const fits = (item) => isGroup && $("a", item).textContent.toLowerCase().includes(name.toLowerCase());
      const items = all("ol > li", group);
      for (const item of items) item.hidden = !fits(item);
      const some = items.filter((item) => !item.hidden).length;
      group.hidden = !some;
      if (some && (name || outcome)) group.open = true;
      matching += some;
    }
    $("[data-none]", list).hidden = matching > 0;
    const url = new URL(location.href); // a live page loads itself again from there
    for (const [key, value] of [["job", name], ["outcome", outcome]]) {
      if (value) url.searchParams.set(key, value);
      else url.searchParams.delete(key);
    }
    history.replaceState(history.state, "", url);
  };
  for (const event of ["input", "change"]) {
    document.addEventListener(event, ({ target }) => {
      const form = target.closest("form[data-narrow]");
      if (form) narrow(form);
    });
  }
}
