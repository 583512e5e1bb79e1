// The preview of a request, which the server computes: what would run, as a list and in the picture. It is of the backend
// that is chosen, and so are the latest statuses. The page's address keeps what is chosen, for live changes and reloads.
{
  const form = $("#run");
  const wouldRun = $("#would-run");
  if (form && wouldRun) {
    const boxes = () => all("[data-action]", form);
    const runAll = () => $("[data-all]", form);
    const backend = () => $("[name=backend]", form).value;
    let shownBackend = backend();
    let requests = 0;
    const query = (...without) => {
      const fields = new URLSearchParams(new FormData(form));
      for (const [name, value] of new URLSearchParams(location.search)) if (["group", "open"].includes(name)) fields.append(name, value);
      for (const name of ["form", "once", ...without]) fields.delete(name);
      return String(fields);
    };
    const replace = (selector, fresh) => {
      const [old, next] = [$(selector), $(selector, fresh)];
      if (old && next) old.replaceChildren(...next.childNodes);
    };
    const mark = (fresh) => {
      const [nodes, next] = [all("#pipeline .node"), all("#pipeline .node", fresh)];
      if (nodes.length !== next.length) return replace("#state", fresh);
      nodes.forEach((node, number) => {
        if (node.className.baseVal === next[number].className.baseVal) return;
        node.setAttribute("class", next[number].className.baseVal);
        $("title", node).textContent = $("title", next[number]).textContent;
      });
      return replace("#pipeline .relations ul", fresh);
    };
    const showPreview = async () => {
      const number = ++requests;
      if (query().length > 8000) {
        wouldRun.textContent = "Too many actions are selected for a preview.";
        return;
      }
      try {
        const answer = await fetch(`${form.action}?${query()}`);
        const fresh = answer.ok && parse(await answer.text());
        if (!fresh || number !== requests) return;
        const isOpen = $("details[open]", wouldRun);
        replace("#would-run", fresh);
        if (isOpen) all("details", wouldRun).forEach((details) => { details.open = true; });
        if (shownBackend === backend()) mark(fresh);
        else [".choose", "#state"].forEach((part) => replace(part, fresh));
        shownBackend = backend();
        history.replaceState(null, "", `${form.action}?${query("note", "find")}`);
        document.dispatchEvent(new Event("fresh"));
      } catch {
        wouldRun.textContent = "The preview could not be loaded.";
      }
    };
    form.addEventListener("change", (event) => {
      if (event.target.matches("[name=find], [name=note]")) return;
      if (event.target === runAll() && runAll().checked) boxes().forEach((box) => { box.checked = false; });
      if (event.target.matches("[data-action]") && event.target.checked) runAll().checked = false;
      showPreview();
    });
    form.addEventListener("click", (event) => {
      const choose = event.target.closest("[data-choose]");
      if (!choose) return;
      event.preventDefault();
      const chosen = choose.dataset.choose.split(" ");
      runAll().checked = false;
      boxes().forEach((box) => { box.checked = chosen.includes(box.value); });
      showPreview();
    });
  }
}
