// The picture of a pipeline: it begins at what matters, and a large one can be zoomed and moved.
{
  const least = 0.2;
  const most = 3;
  let zoom = 1; // kept while a live page replaces the picture
  const region = () => $(".graph");
  const shown = () => region() && all("svg", region()).find((svg) => svg.getClientRects().length);
  const size = (svg) => (svg.matches(".tall") ? region().clientWidth - 20 : svg.viewBox.baseVal.width);

  // ``x``, ``y``: the point of the region that stays where it is; its middle, if they are missing.
  const apply = (next, x, y) => {
    const [box, svg] = [region(), shown()];
    if (!svg) return;
    const at = [x === undefined ? box.clientWidth / 2 : x, y === undefined ? box.clientHeight / 2 : y];
    const before = svg.getBoundingClientRect();
    const frame = box.getBoundingClientRect();
    const share = [(at[0] + frame.left - before.left) / before.width, (at[1] + frame.top - before.top) / before.height];
    zoom = Math.min(Math.max(next, least), most);
    svg.style.width = zoom === 1 ? "" : `${size(svg) * zoom}px`;
    svg.style.height = zoom === 1 ? "" : "auto";
    const after = svg.getBoundingClientRect();
    box.scrollLeft += after.left + share[0] * after.width - frame.left - at[0];
    box.scrollTop += after.top + share[1] * after.height - frame.top - at[1];
  };
  const fit = () => {
    const svg = shown();
    const { width, height } = svg.viewBox.baseVal;
    const natural = size(svg);
    apply(Math.min((region().clientWidth - 20) / natural, (region().clientHeight - 20) / (height * natural / width), 1));
  };
  const toStart = () => {
    const start = shown() && $("[id$=-start]", shown());
    if (!start) return;
    const [box, frame] = [start.getBoundingClientRect(), region().getBoundingClientRect()];
    region().scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
    region().scrollTop += box.top + box.height / 2 - frame.top - frame.height / 2;
  };
  const prepare = () => {
    for (const buttons of all(".graph-tools .zoom")) buttons.hidden = false;
    if (zoom !== 1) apply(zoom);
  };
  prepare();
  toStart();
  document.addEventListener("fresh", prepare);

  const steps = { in: () => apply(zoom * 1.25), out: () => apply(zoom / 1.25), fit };
  const keys = { "+": "in", "=": "in", "-": "out", 0: "fit" };
  const zooms = (target) => target.closest && target.closest(".graph[data-zooms]");
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    if (button) steps[button.dataset.zoom]();
  });
  document.addEventListener("keydown", (event) => {
    if (!keys[event.key] || !zooms(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    steps[keys[event.key]]();
  });
  document.addEventListener("wheel", (event) => {
    if (!event.ctrlKey || !zooms(event.target)) return; // a pinch on a touchpad is such a wheel, too
    event.preventDefault();
    const frame = region().getBoundingClientRect();
    apply(zoom * Math.exp(-event.deltaY / 300), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });

  // Moving with the mouse; a touch scrolls by itself, and two fingers zoom.
  let drag = null;
  let pinch = 0;
  document.addEventListener("pointerdown", (event) => {
    const box = zooms(event.target);
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
    if (event.touches.length !== 2 || !zooms(event.target)) { pinch = 0; return; }
    event.preventDefault();
    const frame = region().getBoundingClientRect();
    const [one, two] = event.touches;
    const now = spread(event.touches);
    if (pinch) apply(zoom * now / pinch, (one.clientX + two.clientX) / 2 - frame.left, (one.clientY + two.clientY) / 2 - frame.top);
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
      zoom = 1;
      prepare();
      toStart();
    } catch {
      location.href = url;
    }
  });
}
