// Relative times and durations stay correct: each second up to a minute, then in steps of a minute and more. The same
// words as in pages/format/times.py. A tap on a time, or the key t, shows exactly when it was; in UTC or in local time.
{
  const units = [[86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]];
  const length = (seconds) => {
    const [size, unit] = units.find(([size]) => seconds >= size) || units[3];
    const count = Math.trunc(seconds / size);
    return `${count} ${unit}${count === 1 ? "" : "s"}`;
  };
  const relative = (seconds) => {
    if (Math.abs(seconds) < 5) return "just now";
    return seconds > 0 ? `${length(seconds)} ago` : `in ${length(-seconds)}`;
  };
  const running = (seconds) => {
    const [minutes, hours] = [Math.trunc(seconds / 60), Math.trunc(seconds / 3600)];
    if (seconds < 60) return `${seconds}s`;
    if (seconds < 3600) return `${minutes}m`;
    return seconds < 86400 ? `${hours}h ${minutes % 60}m` : `${Math.trunc(hours / 24)}d ${hours % 24}h`;
  };
  const offset = $("main").dataset.now ? Date.parse($("main").dataset.now) - Date.now() : 0; // of the server's clock
  const since = (text) => Math.trunc((Date.now() + offset - Date.parse(text)) / 1000);
  const show = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  const two = (number) => String(number).padStart(2, "0");
  const zoneName = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  let isLocal = false;
  let allExact = false;
  try { isLocal = localStorage.getItem("zone") === "local"; } catch { /* the browser stores nothing: UTC */ }
  const utc = (date) => `${date.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const local = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} `
    + [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  const exactly = (date) => (isLocal ? local(date) : utc(date));
  const update = () => {
    for (const element of all("time[datetime]")) {
      const seconds = since(element.dateTime);
      const kind = element.dataset;
      const date = new Date(element.dateTime);
      const title = isLocal ? `${local(date)} (${utc(date)})` : utc(date);
      if (element.title !== title) element.title = title;
      if (allExact || "exact" in kind || "shown" in kind) show(element, exactly(date));
      else show(element, "span" in kind ? length(Math.abs(seconds))
        : "left" in kind ? length(Math.max(-seconds, 0))
        : "expected" in kind && seconds > -5 ? "any moment now" : relative(seconds));
    }
    for (const element of all("[data-since]")) show(element, running(Math.max(since(element.dataset.since), 0)));
  };
  const zone = $("[data-zone]");
  const showZone = () => {
    if (!zone) return;
    const button = Object.assign(document.createElement("button"), { type: "button", className: "link" });
    button.textContent = isLocal ? "Use UTC" : "Use local time";
    button.addEventListener("click", () => {
      isLocal = !isLocal;
      try { localStorage.setItem("zone", isLocal ? "local" : "utc"); } catch { /* for this page only */ }
      showZone();
      $("button", zone).focus();
      update();
    });
    zone.replaceChildren(isLocal ? `Times are local (${zoneName}) ` : "All times are UTC ", button);
  };
  showZone();
  update();
  setInterval(update, 1000);
  document.addEventListener("fresh", update);
  document.addEventListener("click", (event) => {
    const element = event.target.closest("time[datetime]");
    if (!element || element.closest("a, button, summary, label")) return;
    if ("shown" in element.dataset) delete element.dataset.shown;
    else element.dataset.shown = "";
    update();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "t" || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    allExact = !allExact;
    update();
  });
}
