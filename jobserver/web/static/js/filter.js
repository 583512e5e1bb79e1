<<<<<<< HEAD
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
=======
// Lists with a filter: of their children, or of the items in their groups.
{
  const reveal = () => { for (const input of all("input[data-filter][hidden]")) input.hidden = false; };
  reveal();
  document.addEventListener("input", ({ target }) => {
    if (!target.dataset || !target.dataset.filter) return;
    const list = $(target.dataset.filter);
    const wanted = target.value.trim().toLowerCase();
    const items = all("[data-item]", list);
    for (const item of items.length ? items : list.children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
    if (!items.length) return;
    for (const group of all("details", list)) {
      group.hidden = !$("[data-item]:not([hidden])", group);
      if (wanted && !group.hidden) group.open = true;
    }
  });
  // In a form that does something, Enter must not send it.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input[data-filter]")) event.preventDefault();
>>>>>>> 1d8054c (The Run button of a workspace stays in reach: beside the actions, or at the foot of a phone; many actions are compact and can be filtered)
  });
}
