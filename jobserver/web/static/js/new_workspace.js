// New workspace: the branches of the repository, and a list of repositories that takes longer.
{
  const repo = $("[data-branches]");
  if (repo) {
    const hint = $("#branch-hint");
    const button = $("button[value=branches]");
    const fill = async () => {
      if (!repo.value.trim()) return;
      hint.textContent = "Loading branches…";
      try {
        const answer = await fetch(`${base}workspaces/new/branches/?repo=${encodeURIComponent(repo.value.trim())}`);
        const list = await answer.json();
        $(repo.dataset.branches).replaceChildren(...list.branches.map((name) => new Option(name, name)));
        hint.textContent = list.hint;
      } catch {
        hint.textContent = "Branches could not be loaded. Type the name of the branch.";
      }
    };
    repo.addEventListener("change", fill);
    button.addEventListener("click", (event) => {
      event.preventDefault();
      fill();
    });
    fill();
    const list = $("#repos[data-more]");
    if (list) fetch(list.dataset.more).then((answer) => answer.json()).then((more) => {
      list.replaceChildren(...more.repositories.map((name) => new Option(name, name)));
      $("#repo-hint").textContent = parse(more.hint).body.textContent;
    }).catch(() => {}); // the first list stays
  }
}
