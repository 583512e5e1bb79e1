// Relative times stay correct.
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
  const offset = $("main").dataset.now ? Date.parse($("main").dataset.now) - Date.now() : 0; // of the server's clock
  setInterval(() => {
    for (const element of all("time[datetime]")) {
      const seconds = Math.trunc((Date.now() + offset - Date.parse(element.dateTime)) / 1000);
      const text = "span" in element.dataset ? length(Math.abs(seconds)) : relative(seconds);
      if (element.textContent !== text) element.textContent = text;
    }
  }, 10000);
}
