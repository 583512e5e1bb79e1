// Browser notifications about the request of an open page: only after its button was pressed, and while it is hidden.
{
  const main = $("main[data-outcome]");
  const wanted = "jobserver-notify";
  const button = () => $("#notify");
  const isOn = () => Notification.permission === "granted" && localStorage.getItem(wanted) === "on";
  const show = () => {
    if (!button()) return;
    button().hidden = Notification.permission === "denied";
    button().setAttribute("aria-pressed", isOn());
    button().textContent = isOn() ? "Stop browser notifications" : "Notify me in this browser";
  };
  const finished = { failed: "failed", succeeded: "succeeded", cancelled: "was cancelled" };
  if (main && window.Notification && window.isSecureContext) {
    show();
    document.addEventListener("click", async (event) => {
      if (event.target !== button()) return;
      const on = !isOn();
      if (on && await Notification.requestPermission() !== "granted") return show();
      localStorage.setItem(wanted, on ? "on" : "off");
      show();
    });
    main.addEventListener("outcome", () => {
      show(); // the button is new, with the page's content
      const end = finished[main.dataset.outcome];
      if (!end || !isOn() || document.visibilityState === "visible") return;
      const note = new Notification(`${$("h1").textContent.trim()} ${end}`, {
        body: document.title.replace(/^\S /, "").replace(/ · jobserver$/, ""), icon: $("link[rel=icon]").href, tag: location.pathname,
      });
      note.addEventListener("click", () => { window.focus(); note.close(); });
    });
  }
}
