// The preview of a request, which the server computes.
{
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
        if (!fresh || number !== requests) return;
        const isOpen = $("details[open]", wouldRun);
        wouldRun.replaceChildren(...fresh.childNodes);
        if (isOpen) all("details", wouldRun).forEach((details) => { details.open = true; });
        document.dispatchEvent(new Event("fresh"));
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
}
