// An exercise without leaving its page: runs, stops, hints, an input of one's own, the solution.
// Each answer holds parts of the page; every part takes the place of the one with its id.
import { Draft } from "./draft.js";

const { send, takeToken } = globalThis.handbookTokens;

const room = document.querySelector("#exercise");
const following = new Map(); // part's id -> run's id
let leaving = false; // a form is on its way that answers with another page

if (room) {
  const form = room.querySelector("#exercise-form");
  const area = form.querySelector("#code");
  const said = room.querySelector("#said");
  const name = room.dataset.exercise;
  const draft = new Draft(area, room.querySelector("#draft-said"), { url: `/exercise/${name}/draft`, key: name });

  function place(html) {
    if (leaving) return; // a form that is taken out of the page sends nothing
    const template = document.createElement("template");
    template.innerHTML = html;
    for (const part of template.content.querySelectorAll("[data-part]")) {
      const old = document.getElementById(part.id);
      if (!old) continue;
      const inside = old.contains(document.activeElement) ? document.activeElement : null;
      const stopped = inside?.matches("[data-stop]");
      const open = inside === null ? [] : [...old.querySelectorAll("[id]")].filter((each) => each === inside);
      old.replaceWith(part);
      if (stopped) (part.querySelector("[data-stop]") ?? form.querySelector("button[value=all]")).focus();
      else if (open.length) document.getElementById(inside.id)?.focus({ preventScroll: true });
      part.dispatchEvent(new Event("handbook:inserted", { bubbles: true }));
      if (part.dataset.run) follow(part);
    }
  }

  function over(part) {
    return ["done", "stopped", "failed"].includes(part.dataset.state);
  }

  function announce(part) {
    said.textContent = part.querySelector("[data-say]")?.textContent.replace(/\s+/g, " ").trim() ?? "";
  }

  // Ask for news until the run is over. One loop a part: a newer run takes the older one's place.
  async function follow(part) {
    const id = part.dataset.run;
    if (over(part)) {
      following.delete(part.id);
      announce(part);
      return;
    }
    if (following.get(part.id) === id) return;
    following.set(part.id, id);
    while (following.get(part.id) === id) {
      const now = document.getElementById(part.id);
      try {
        const response = await fetch(`/exercise/${name}/run/${id}?mark=${now.dataset.mark}`, {
          headers: { "HX-Request": "true" },
          cache: "no-store",
        });
        if (response.status === 404) throw new Error("gone");
        const html = await response.text();
        if (following.get(part.id) !== id) return;
        place(html);
        if (leaving) await new Promise((done) => setTimeout(done, 1000));
      } catch (error) {
        if (error.message === "gone") {
          lost(part.id, "The handbook was started anew, so there is no result. Your code is here; run it again.");
          return;
        }
        said.textContent = "The handbook does not answer. Asking again.";
        await new Promise((done) => setTimeout(done, 1000));
      }
    }
  }

  function lost(id, words) {
    following.delete(id);
    const box = document.querySelector(id === "tests" ? "#verdicts" : "#tried");
    box.innerHTML = "";
    const line = document.createElement("p");
    line.textContent = words;
    box.append(line);
    said.textContent = words;
  }

  async function act(url, fields, focus) {
    let response;
    try {
      response = await send(url, fields, { "HX-Request": "true" });
    } catch {
      complain(url, "The handbook does not answer. What you typed is kept in this browser.");
      return;
    }
    const html = await response.text();
    if (!response.ok) {
      const box = document.querySelector(url.endsWith("/input") ? "#tried" : "#verdicts");
      box.innerHTML = html;
      said.textContent = box.textContent.replace(/\s+/g, " ").trim();
      return;
    }
    place(html);
    if (focus) document.querySelector(focus)?.focus();
  }

  function complain(url, words) {
    lost(url.endsWith("/input") ? "tried" : "tests", words);
  }

  room.addEventListener("submit", async (event) => {
    const live = event.target.closest("form[data-live]");
    if (!live) return;
    const button = event.submitter;
    const url = button?.getAttribute("formaction") ?? live.getAttribute("action");
    const leaves = /\/(over|undo|again)$/.test(url);
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(live));
    if (button?.name) fields[button.name] = button.value;
    delete fields.token;
    if (leaves) {
      // These answer with a new page. A dirty draft goes with the form.
      leaving = true;
      try {
        live.querySelector("[name=token]").value = await takeToken();
      } catch {
        leaving = false;
        complain(url, "The handbook does not answer. What you typed is kept in this browser.");
        return;
      }
      draft.server = area.value;
      draft.keep(false);
      live.action = url;
      live.submit();
      return;
    }
    if (live !== form) {
      await act(url, fields, live.dataset.focus);
      return;
    }
    if (!url.endsWith("/input")) room.querySelector("#verdicts").setAttribute("aria-busy", "true");
    await draft.save();
    await act(url, { ...fields, code: area.value });
  });

  addEventListener("pageshow", (event) => {
    if (event.persisted) leaving = false; // back from that other page, as this one was left
  });

  // Ctrl-Enter from anywhere; with Shift the visible tests; in the box for inputs it tries the input.
  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key !== "Enter") return;
    event.preventDefault();
    const inside = event.composedPath()[0];
    const which = inside.id === "snippet" ? "#try" : `[value=${event.shiftKey ? "visible" : "all"}]`;
    form.requestSubmit(room.querySelector(which));
  });

  // Escape leaves the editor for what can be done next: Stop while something runs, else Run.
  area.addEventListener("handbook:leave", () => {
    (room.querySelector("#tests [data-stop]") ?? form.querySelector("[value=all]")).focus();
  });

  for (const part of room.querySelectorAll("[data-part][data-run]")) follow(part);
}
