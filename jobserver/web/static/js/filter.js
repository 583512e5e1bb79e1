// Lists with a filter. It stays when a live page replaces its content.
{
  const typed = new Map(); // the selector of a list -> what is typed above it
  const apply = (list) => {
    const wanted = typed.get(list).trim().toLowerCase();
    for (const item of $(list).children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  };
  document.addEventListener("input", (event) => {
    const list = event.target.dataset && event.target.dataset.filter;
    if (!list) return;
    typed.set(list, event.target.value);
    apply(list);
  });
  document.addEventListener("fresh", () => {
    for (const box of all("[data-filter]")) {
      if (!typed.has(box.dataset.filter)) continue;
      box.value = typed.get(box.dataset.filter);
      apply(box.dataset.filter);
    }
  });
}
