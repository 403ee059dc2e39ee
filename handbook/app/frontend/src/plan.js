// Today, the plan and the diagnostic: Enter begins what the page is for, u takes the last change back; in the
// diagnostic the answer is kept while it is typed, the time is told in whole minutes, and a grade is waited for.
import { Draft } from "./draft.js";

const { takeToken } = globalThis.handbookTokens; // app.js, which comes first, has put it there

const AWAY = 120_000; // milliseconds without a key after which the clock of an answer stands still
const ASK = 400; // milliseconds between looks at how far a grade is

function typing(element) {
  return element?.matches?.("textarea, select, input:not([type=radio], [type=checkbox], [type=hidden]), [contenteditable]");
}

const room = document.querySelector("#diagnostic");
const area = room?.querySelector("#answer");
let draft = null;

if (area) {
  const form = area.form;
  const clock = form.elements.seconds;
  const said = document.querySelector("#time-left");
  const left = Number(room.dataset.left) * 60;
  let seconds = Number(clock.value) || 0;
  let last = performance.now();
  form.elements.counted.value = "1";
  draft = new Draft(area, room.querySelector("#draft-said"), {
    url: "/diagnostic/draft",
    key: `diagnostic:${room.dataset.question}`,
    field: "answer",
    also: () => ({ question: room.dataset.question, seconds: clock.value, counted: "1" }),
  });
  area.addEventListener("input", () => (last = performance.now()));
  const tell = () => {
    const minutes = Math.round((left - seconds) / 60);
    const words =
      minutes < 1
        ? "Less than a minute is left; take the time that this question needs."
        : `About ${minutes} of ${Number(room.dataset.budget)} minutes ${minutes === 1 ? "is" : "are"} left.`;
    if (said.textContent !== words) said.textContent = words;
  };
  tell();
  setInterval(() => {
    if (document.visibilityState !== "visible" || performance.now() - last > AWAY) return;
    seconds += 1;
    clock.value = seconds;
    tell();
  }, 1000);
  let sending = false;
  form.addEventListener("submit", async (event) => {
    if (sending) return;
    event.preventDefault();
    if (!event.submitter?.name && !event.submitter?.hasAttribute("formaction") && !area.value.trim()) {
      draft.say("There is no answer yet. Type one, or choose “I don’t know” or “Leave it out”.");
      area.focus();
      return;
    }
    form.setAttribute("aria-busy", "true");
    await draft.save();
    try {
      if (!draft.failed) form.elements.token.value = await takeToken(); // of this server, if it was started anew
    } catch {
      draft.failed = true;
      draft.say("The handbook does not answer. What you type is kept in this browser.");
    }
    await new Promise((done) => setTimeout(done)); // within the event that it stopped, a form sends nothing
    form.removeAttribute("aria-busy");
    if (draft.failed) return; // it has said so, and keeps what was typed
    draft.server = area.value; // nothing is left to be sent when the page goes
    sending = true;
    form.requestSubmit(event.submitter);
  });
}

const waits = document.querySelector("#grading");
if (waits) follow(waits.dataset.grading);

async function follow(id) {
  for (;;) {
    try {
      const response = await fetch(`/diagnostic/state?grading=${id}`, { cache: "no-store" });
      if (response.status === 404) break; // the handbook was started anew: the answer is a draft again
      const found = await response.json();
      if (found.state !== "waiting") break;
      document.querySelector("#grading-words").textContent = found.said;
      document.querySelector("#grading-time").textContent = `${found.seconds.toFixed(1)} s`;
    } catch {
      document.querySelector("#grading-words").textContent = "The handbook does not answer. Your answer is kept.";
    }
    await new Promise((done) => setTimeout(done, ASK));
  }
  location.replace(`/diagnostic?grading=${id}`);
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || document.querySelector("dialog[open]")) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key === "Enter" && area) {
      event.preventDefault();
      area.form.requestSubmit(area.form.querySelector(".main-action"));
    }
    return;
  }
  if (event.key === "Escape" && event.target === area) {
    area.form.querySelector(".main-action").focus();
    return;
  }
  if (typing(event.target)) return;
  const press = (element) => {
    if (!element) return;
    event.preventDefault();
    element.click();
  };
  if (event.key === "u") press(document.querySelector("#undo"));
  else if (/^[1-4]$/.test(event.key)) press(document.querySelectorAll(".own-ratings button")[Number(event.key) - 1]);
  else if (event.key === "Enter" && !event.target.closest("a, button, summary, input, label")) {
    press(document.querySelector("[data-start]"));
  }
});
