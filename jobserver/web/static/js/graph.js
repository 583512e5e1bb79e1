// The picture of a pipeline: it begins at what matters, and a large one can be zoomed and moved.
{
  const least = 0.2;
  const most = 3;
  const zooms = new Map(); // by the picture's name: kept while a live page replaces it
  const zoomOf = (box) => zooms.get(box.getAttribute("aria-label")) || 1;
  const shown = (box) => all("svg", box).find((svg) => svg.getClientRects().length);
  const natural = (svg) => { // its width without zoom
    const kept = svg.style.cssText;
    svg.style.cssText = "";
    const { width } = svg.getBoundingClientRect();
    svg.style.cssText = kept;
    return width;
  };

  // ``x``, ``y``: the point of the region that stays where it is.
  const apply = (box, zoom, x = box.clientWidth / 2, y = box.clientHeight / 2) => {
    const svg = shown(box);
    if (!svg) return;
    const frame = box.getBoundingClientRect();
    const before = svg.getBoundingClientRect();
    const share = [(x + frame.left - before.left) / before.width, (y + frame.top - before.top) / before.height];
    const next = Math.min(Math.max(zoom, least), most);
    zooms.set(box.getAttribute("aria-label"), next);
    svg.style.cssText = next === 1 ? "" : `width: ${natural(svg) * next}px; max-width: none; height: auto`;
    const after = svg.getBoundingClientRect();
    box.scrollLeft += after.left + share[0] * after.width - frame.left - x;
    box.scrollTop += after.top + share[1] * after.height - frame.top - y;
  };
  const fit = (box) => {
    const svg = shown(box);
    const { width, height } = svg.viewBox.baseVal;
    const now = natural(svg);
    apply(box, Math.min((box.clientWidth - 20) / now, (box.clientHeight - 20) * width / (height * now), 1));
  };
  const toStart = (box) => {
    const start = shown(box) && $("[id$=-start]", shown(box));
    if (!start) return;
    const [node, frame] = [start.getBoundingClientRect(), box.getBoundingClientRect()];
    if (node.left < frame.left || node.right > frame.right) box.scrollLeft += node.left + node.width / 2 - frame.left - frame.width / 2;
    if (node.top < frame.top || node.bottom > frame.bottom) box.scrollTop += node.top + node.height / 2 - frame.top - frame.height / 2;
  };
  const prepare = () => {
    for (const buttons of all(".graph-tools .zoom")) buttons.hidden = false;
    for (const box of all(".graph")) if (zoomOf(box) !== 1) apply(box, zoomOf(box));
  };
  prepare();
  all(".graph").forEach(toStart);
  document.addEventListener("fresh", prepare);
  matchMedia("(max-width: 44rem)").addEventListener("change", () => all(".graph").forEach(toStart)); // the other form

  const steps = {
    in: (box) => apply(box, zoomOf(box) * 1.25),
    out: (box) => apply(box, zoomOf(box) / 1.25),
    fit,
  };
  const keys = { "+": "in", "=": "in", "-": "out", 0: "fit" };
  const zoomable = (target) => target.closest && target.closest(".graph[data-zooms]");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) steps[button.dataset.zoom]($(".graph", button.closest(".panel")));
  });
  document.addEventListener("keydown", (event) => {
    const box = zoomable(event.target);
    if (!box || !keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    steps[keys[event.key]](box);
  });
  document.addEventListener("wheel", (event) => {
    const box = zoomable(event.target);
    if (!event.ctrlKey || !box) return; // a pinch on a touchpad is such a wheel, too
    event.preventDefault();
    const frame = box.getBoundingClientRect();
    apply(box, zoomOf(box) * Math.exp(-event.deltaY / 300), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });

  // Moving with the mouse; a touch scrolls by itself, and two fingers zoom.
  let drag = null;
  let pinch = 0;
  document.addEventListener("pointerdown", (event) => {
    const box = zoomable(event.target);
    if (box && event.pointerType === "mouse" && event.button === 0) {
      drag = { box, x: event.clientX, y: event.clientY, left: box.scrollLeft, top: box.scrollTop, moved: false };
    }
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    drag.moved = drag.moved || Math.abs(x) + Math.abs(y) > 5;
    if (!drag.moved) return;
    drag.box.classList.add("moving");
    [drag.box.scrollLeft, drag.box.scrollTop] = [drag.left - x, drag.top - y];
  });
  document.addEventListener("pointerup", () => {
    if (!drag) return;
    drag.box.classList.remove("moving");
    if (drag.moved) addEventListener("click", (event) => event.preventDefault(), { capture: true, once: true });
    drag = null;
  });
  document.addEventListener("dragstart", (event) => { if (drag) event.preventDefault(); }); // of a link
  const spread = (touches) => Math.hypot(touches[0].clientX - touches[1].clientX, touches[0].clientY - touches[1].clientY);
  document.addEventListener("touchmove", (event) => {
    const box = zoomable(event.target);
    if (event.touches.length !== 2 || !box) { pinch = 0; return; }
    event.preventDefault();
    const frame = box.getBoundingClientRect();
    const [one, two] = event.touches;
    const now = spread(event.touches);
    if (pinch) apply(box, zoomOf(box) * now / pinch, (one.clientX + two.clientX) / 2 - frame.left, (one.clientY + two.clientY) / 2 - frame.top);
    pinch = now;
  }, { passive: false });
  document.addEventListener("touchend", () => { pinch = 0; });

  // Another grouping replaces the picture only: what has been chosen on the page stays.
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-graph-view]");
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const url = link.href.baseVal ? new URL(link.href.baseVal, location.href).href : link.href;
    try {
      const answer = await fetch(url, { headers: { Accept: "text/html" } });
      const next = answer.ok && $("#pipeline", parse(await answer.text()));
      if (!next) throw new Error("no picture");
      $("#pipeline").replaceWith(next);
      history.replaceState(null, "", url);
      zooms.clear();
      prepare();
      toStart($(".graph", next));
    } catch {
      location.href = url;
    }
  });
}
