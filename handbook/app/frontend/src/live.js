// The live view: frames come from the server as HTML, a window at a time; here they are only shown in turn.
const WINDOW = 32;
let stop = null; // ends the player that is shown, before another one takes its place

function begin(player) {
  const $ = (id) => player.querySelector(`#${id}`);
  const frame = $("live-frame");
  const [scrub, play, speed] = [$("live-scrub"), $("live-play"), $("live-speed")];
  const own = player.dataset.follow;
  const kept = new Map();
  const asked = new Map(); // window -> promise
  let [first, last, at] = ["first", "last", "at"].map((name) => Number(player.dataset[name]));
  let playing = false;
  let timer = 0;
  let events = null;
  let wanted = at;
  if (last >= first) kept.set(at, frame.innerHTML);

  function bounds(low, high) {
    [first, last] = [low, high];
    [scrub.min, scrub.max] = [low, high];
    $("live-count").textContent = own ? high : high + 1;
    player.querySelector(".live-bar").hidden = high < low;
    if (high >= low) document.querySelector("#live-empty")?.remove();
  }

  function show(html, position) {
    const table = frame.querySelector(".trace-table");
    const [left, focused] = [table?.scrollLeft ?? 0, frame.contains(document.activeElement)];
    frame.innerHTML = html;
    const fresh = frame.querySelector(".trace-table");
    if (fresh && left) fresh.scrollLeft = left;
    if (fresh && focused) fresh.focus({ preventScroll: true });
    at = position;
    scrub.value = at;
    $("live-at").textContent = own ? at : at + 1;
  }

  function load(position) {
    const low = Math.floor(position / WINDOW) * WINDOW;
    if (!asked.has(low)) {
      const url = `/engine/live/frames.json?${player.dataset.query}&from=${low}&count=${WINDOW}`;
      const promise = fetch(url, { headers: { Accept: "application/json" } })
        .then(async (response) => {
          const data = await response.json();
          if (!response.ok) throw new Error(`${data.what} ${data.remedy}`);
          for (const [key, html] of Object.entries(data.frames)) kept.set(Number(key), html);
          bounds(data.first, data.last);
          if (own) asked.delete(low); // the engine goes on: the window may fill
        })
        .catch((error) => {
          asked.delete(low);
          throw error;
        });
      asked.set(low, promise);
    }
    return asked.get(low);
  }

  async function go(position, say = true, again = true) {
    if (last < first) return; // nothing has come yet
    wanted = Math.max(first, Math.min(last, position));
    const mine = wanted;
    if (!kept.has(mine)) {
      try {
        await load(mine);
      } catch (error) {
        pause();
        $("live-said").textContent = error.message;
        $("live-said").classList.remove("visually-hidden");
        return;
      }
    }
    if (mine !== wanted) return; // somebody went elsewhere meanwhile
    if (!kept.has(mine)) return again ? go(mine, say, false) : undefined; // it left the ring: the nearest one
    show(kept.get(mine), mine);
    if (say) $("live-said").textContent = `Step ${own ? at : at + 1}: ${frame.querySelector(".trace-now")?.textContent}`;
    const ahead = Math.min(last, mine + WINDOW / 2);
    if (playing && !own && !kept.has(ahead)) load(ahead).catch(() => {});
  }

  function pause() {
    playing = false;
    clearTimeout(timer);
    play.textContent = own ? "Follow" : "Play";
  }

  async function tick() {
    if (!playing) return;
    const began = performance.now();
    await go(at + 1, false);
    if (!playing) return;
    if (at >= last) return pause();
    timer = setTimeout(tick, Math.max(0, 1000 / Number(speed.value) - (performance.now() - began)));
  }

  function toggle() {
    if (playing) return pause();
    playing = true;
    play.textContent = "Pause";
    if (own) go(last, false);
    else if (at >= last) go(first, false).then(tick);
    else tick();
  }

  function move(to) {
    pause();
    go(to === "first" ? first : to === "last" ? last : at + Number(to));
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (document.querySelector("dialog[open]") || last < first) return;
    const target = event.target;
    if (target.closest("input, textarea, select, summary, [contenteditable]")) return;
    if (target.closest(".trace-table") && event.key.startsWith("Arrow")) return; // it scrolls
    const to = { ArrowLeft: -1, ArrowRight: 1, Home: "first", End: "last" }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      move(to);
    } else if (event.key === " " && !target.closest("a, button")) {
      event.preventDefault();
      toggle();
    } else if (event.key === " " && target.closest(".live-move")) {
      event.preventDefault();
      move(target.closest(".live-move").dataset.move);
    }
  }

  for (const link of player.querySelectorAll(".live-move")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      move(link.dataset.move);
    });
  }
  play.addEventListener("click", toggle);
  play.hidden = false;
  scrub.disabled = false;
  if (speed) speed.disabled = false;
  scrub.addEventListener("input", () => {
    pause();
    go(Number(scrub.value), false);
  });
  document.addEventListener("keydown", key);
  if (own) {
    events = new EventSource(own);
    events.addEventListener("step", (event) => {
      const data = JSON.parse(event.data);
      bounds(data.first, data.last);
      if (playing) {
        wanted = data.last;
        kept.clear();
        kept.set(data.last, data.html);
        show(data.html, data.last);
      }
    });
    toggle();
  }
  return () => {
    pause();
    events?.close();
    document.removeEventListener("keydown", key);
  };
}

function find() {
  stop?.();
  const player = document.querySelector("#player");
  stop = player ? begin(player) : null;
  for (const knob of document.querySelectorAll(".live-knobs input[type=range]")) {
    knob.addEventListener("input", () => {
      knob.parentElement.querySelector("output").textContent = knob.value;
    });
  }
}

find();
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "live" || event.target.id === "live") find();
});
addEventListener("pagehide", () => stop?.());
