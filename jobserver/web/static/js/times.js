// Relative times and durations stay correct: each second up to a minute, then in steps of a minute and more. The same
// words as in pages/format/times.py.
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
  setInterval(() => {
    for (const element of all("time[datetime]")) {
      const seconds = since(element.dateTime);
      const kind = element.dataset;
      show(element, "span" in kind ? length(Math.abs(seconds))
        : "left" in kind ? length(Math.max(-seconds, 0))
        : "expected" in kind && seconds > -5 ? "any moment now" : relative(seconds));
    }
    for (const element of all("[data-since]")) show(element, running(Math.max(since(element.dataset.since), 0)));
  }, 1000);
}
