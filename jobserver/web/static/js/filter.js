// Lists with a filter.
{
  document.addEventListener("input", (event) => {
    const list = event.target.dataset && event.target.dataset.filter;
    if (!list) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of $(list).children) item.hidden = !item.textContent.toLowerCase().includes(wanted);
  });
}
