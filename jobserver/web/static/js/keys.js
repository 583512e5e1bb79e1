// Keys for people who use no mouse: never while typing, and never with Ctrl or Alt, which belong to the browser.
const typing = (element) => element.matches && element.matches("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable]");
const openDialog = (id, label, fill) => {
  let dialog = $(`#${id}`);
  if (!dialog) {
    dialog = Object.assign(document.createElement("dialog"), { id });
    dialog.setAttribute("aria-label", label);
    dialog.append(document.createElement("article"));
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }); // beside it
    document.body.append(dialog);
    fill($("article", dialog), dialog);
  }
  if (!dialog.open) dialog.showModal();
  return dialog;
};
{
  const helpUrl = `${base}settings/keyboard/`;
  const help = () => openDialog("help-keys", "Keyboard", async (article, dialog) => {
    article.innerHTML = "<h2>Keyboard</h2><p>Loading…</p><button type=button class=secondary>Close</button>";
    $("button", article).addEventListener("click", () => dialog.close());
    try {
      $("p", article).replaceWith($("#keys", parse(await (await fetch(helpUrl)).text())));
    } catch {
      location.href = helpUrl;
    }
  });
  const rows = () => all("main .rows > li").filter((row) => row.getClientRects().length && $("a[href]", row));
  const move = (step) => {
    const list = rows();
    const now = list.findIndex((row) => row.contains(document.activeElement));
    const next = list[now < 0 ? (step > 0 ? 0 : list.length - 1) : Math.min(Math.max(now + step, 0), list.length - 1)];
    if (!next) return;
    ($(".what > a[href]", next) || $("a[href]", next)).focus(); // Enter opens it, as any link
    next.scrollIntoView({ block: "nearest" });
  };
  const search = () => {
    const field = all("main input[type=search][name=q], .find input").find((input) => input.getClientRects().length);
    if (field) {
      field.focus();
      field.select();
    }
  };
  const actions = { j: () => move(1), k: () => move(-1), "/": search, "?": help };
  document.addEventListener("keydown", (event) => {
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || $("dialog[open]")) return;
    event.preventDefault();
    action();
  });
}
