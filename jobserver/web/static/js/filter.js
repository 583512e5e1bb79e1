// Lists with a filter: of their children, or of the items in their groups. It stays when a live page replaces its
// content.
{
  const typed = new Map(); // the selector of a list -> what is typed above it
  const apply = (selector) => {
    const list = $(selector);
    const wanted = typed.get(selector).trim().toLowerCase();
    const items = all("[data-item]", list);
    for (const item of items.length ? items : list.children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
    if (!items.length) return;
    for (const group of all("details", list)) {
      group.hidden = !$("[data-item]:not([hidden])", group);
      if (wanted && !group.hidden) group.open = true;
    }
  };
  const reveal = () => {
    for (const button of all("[data-without-script]")) button.remove();
    for (const box of all("input[data-filter]")) {
      if (!typed.has(box.dataset.filter)) continue;
      box.value = typed.get(box.dataset.filter);
      apply(box.dataset.filter);
    }
  };
  reveal();
  document.addEventListener("fresh", reveal);
  document.addEventListener("input", ({ target }) => {
    if (!target.dataset || !target.dataset.filter) return;
    typed.set(target.dataset.filter, target.value);
    apply(target.dataset.filter);
  });
  // In a form that does something, Enter must not send it.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input[data-filter]")) event.preventDefault();
  });
}
