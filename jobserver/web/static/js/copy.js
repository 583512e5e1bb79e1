// A button beside each id, commit or call that people copy.
{
  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // the browser allows it with https only
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  const add = () => {
    for (const code of all("code[data-copy]")) {
      const after = code.closest("a, pre") || code;
      if (after.nextElementSibling && after.nextElementSibling.matches(".copy")) continue;
      const name = `Copy ${code.dataset.copyName}`;
      const button = Object.assign(document.createElement("button"), { type: "button", className: "copy" });
      button.setAttribute("aria-label", name);
      button.title = name;
      button.textContent = after.matches("pre") ? name : ""; // empty: an icon, from the style sheet
      button.addEventListener("click", async () => {
        await copied(code.dataset.copy);
        const before = button.textContent;
        button.textContent = "Copied";
        button.setAttribute("aria-label", "Copied");
        button.focus();
        setTimeout(() => {
          button.textContent = before;
          button.setAttribute("aria-label", name);
        }, 1500);
      });
      after.after(button);
    }
  };
  add();
  document.addEventListener("fresh", add);
}
