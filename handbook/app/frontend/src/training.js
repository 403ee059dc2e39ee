// Training runs: the middle of the page comes anew whenever a run's files have changed.
const place = document.querySelector("#training");

if (place) {
  const said = document.querySelector("#training-said");
  const state = () => place.querySelector("#training-state")?.dataset.state ?? "";
  let before = state();
  const events = new EventSource(place.dataset.follow);

  events.addEventListener("runs", (event) => {
    const open = [...place.querySelectorAll("details[open]")].map((each) => each.id);
    const tables = [...place.querySelectorAll(".table")].map((each) => each.scrollLeft);
    const focused = place.contains(document.activeElement) ? document.activeElement : null;
    const [id, label] = [focused?.id, focused?.getAttribute("aria-label")];
    const inside = focused?.closest("details")?.id;
    place.innerHTML = JSON.parse(event.data).html;
    for (const each of open) document.getElementById(each)?.setAttribute("open", "");
    place.querySelectorAll(".table").forEach((each, index) => (each.scrollLeft = tables[index] ?? 0));
    if (focused) {
      const again =
        (id && document.getElementById(id)) ||
        (label && place.querySelector(`[aria-label="${CSS.escape(label)}"]`)) ||
        (inside && document.querySelector(`#${CSS.escape(inside)} summary`));
      again?.focus({ preventScroll: true });
    }
    if (state() !== before) said.textContent = place.querySelector("#training-state")?.textContent ?? "";
    before = state();
  });
  addEventListener("pagehide", () => events.close());
}
