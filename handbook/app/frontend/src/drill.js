// The drill room without leaving its page: the answer is kept while it is typed, graded, looked through and
// corrected by keyboard. A number chooses a criterion, y and n decide it, r takes the next rating, Enter
// confirms, u takes the last one back.
import { Draft } from "./draft.js";

const { send, takeToken } = globalThis.handbookTokens;
const room = document.querySelector("#drill");
const AWAY = 120_000; // milliseconds without a key after which the clock of an answer stands still

function typing(element) {
  return element?.matches?.("textarea, select, input:not([type=radio], [type=checkbox], [type=hidden]), [contenteditable]");
}

function plain(event) {
  return !(event.ctrlKey || event.metaKey || event.altKey) && !document.querySelector("dialog[open]");
}

if (room) {
  const question = room.dataset.question;
  const said = room.querySelector("#said");
  const decidedKey = `handbook:decided:${question}`;
  let draft = null;
  let following = null;
  let chosen = 0;
  let restored = false;
  let asking = false; // decisions are on their way
  let wanted = false; // and others were made since
  let leaving = false; // a form is on its way that answers with another page

  const work = () => document.querySelector("#work");
  const only = () => work().querySelector("[name=only]")?.value ?? "";
  const say = (words) => (said.textContent = words);

  // What the person decided, kept in this browser until it is confirmed: {answer, decided: {field: verdict}}

  function recalled(form) {
    try {
      const kept = JSON.parse(localStorage.getItem(decidedKey));
      return kept?.answer === form.elements.answer.value ? kept.decided : {};
    } catch {
      return {};
    }
  }

  function remember(form, radio) {
    const decided = { ...recalled(form), [radio.name]: radio.value };
    try {
      localStorage.setItem(decidedKey, JSON.stringify({ answer: form.elements.answer.value, decided }));
    } catch {
      // a full or forbidden store
    }
  }

  function forget() {
    try {
      localStorage.removeItem(decidedKey);
    } catch {
      // likewise
    }
  }

  // After the handbook was started anew: decisions that it does not know. Whether there were any.
  function restore(form) {
    const radios = Object.entries(recalled(form)).map(([name, value]) =>
      form.querySelector(`[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]:not(:checked)`),
    );
    const unknown = radios.filter((radio) => radio);
    for (const radio of unknown) radio.checked = true;
    if (unknown.length) decide();
    return unknown.length > 0;
  }

  // Typing

  function begin() {
    const area = room.querySelector("#answer");
    if (!area) return;
    const form = area.form;
    const clock = form.elements.seconds;
    let seconds = Number(clock.value) || 0;
    let last = performance.now();
    draft = new Draft(area, room.querySelector("#draft-said"), {
      url: `/drill/${question}/draft`,
      key: `drill:${question}`,
      field: "answer",
      also: () => ({ seconds: clock.value }),
    });
    area.addEventListener("input", () => (last = performance.now()));
    const tick = setInterval(() => {
      if (!area.isConnected) clearInterval(tick);
      else if (document.visibilityState === "visible" && performance.now() - last < AWAY) {
        seconds += 1;
        clock.value = seconds;
      }
    }, 1000);
  }

  // Parts that come from the server

  function place(html) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const part = template.content.querySelector("#work");
    if (!part || leaving) return; // a form that is taken out of the page sends nothing
    const inside = work().contains(document.activeElement) ? document.activeElement : null;
    const name = inside?.name;
    const value = inside?.value;
    const stops = inside?.matches("[data-stop]");
    const id = inside?.closest("[id]")?.id;
    work().replaceWith(part);
    part.dispatchEvent(new Event("handbook:inserted", { bubbles: true }));
    if (part.dataset.state === "done") show(false);
    if (stops) part.querySelector("[data-stop]")?.focus({ preventScroll: true });
    else if (name && value) part.querySelector(`[name="${CSS.escape(name)}"][value="${CSS.escape(value)}"]`)?.focus({ preventScroll: true });
    else if (id) document.getElementById(id)?.focus({ preventScroll: true });
  }

  function complain(words) {
    say(words);
    const line = room.querySelector("#draft-said") ?? room.querySelector(".graded-said") ?? room.querySelector(".grading-said");
    if (line) line.textContent = words;
  }

  async function act(url, fields) {
    let response;
    try {
      response = await send(url, fields, { "HX-Request": "true" });
    } catch {
      complain("The handbook does not answer. What you typed is kept in this browser.");
      return null;
    }
    const html = await response.text();
    if (response.ok) return html;
    const template = document.createElement("template");
    template.innerHTML = html;
    complain(template.content.textContent.replace(/\s+/g, " ").trim());
    return null;
  }

  async function follow() {
    const id = work().dataset.grading;
    if (following === id) return;
    following = id;
    while (following === id && work().dataset.grading === id && work().dataset.state !== "done") {
      try {
        const response = await fetch(`/drill/${question}/grading/${id}?mark=${work().dataset.mark}&only=${only()}`, {
          headers: { "HX-Request": "true" },
          cache: "no-store",
        });
        if (response.status === 404) {
          location.replace(address({ lost: 1 }));
          return;
        }
        const html = await response.text();
        if (following === id) place(html);
        if (leaving) await new Promise((done) => setTimeout(done, 1000));
      } catch {
        say("The handbook does not answer. Asking again.");
        await new Promise((done) => setTimeout(done, 1000));
      }
    }
    following = null;
  }

  function address(more) {
    const query = new URLSearchParams(location.search);
    for (const name of ["grading", "last", "put", "how", "lost"]) query.delete(name);
    for (const [name, value] of Object.entries(more)) query.set(name, value);
    return `/drill/${question}${query.size ? `?${query}` : ""}`;
  }

  async function grade(form, button) {
    const fields = Object.fromEntries(new FormData(form));
    if (button?.name) fields[button.name] = button.value;
    delete fields.token;
    form.setAttribute("aria-busy", "true");
    await draft.save();
    const html = await act(`/drill/${question}`, fields);
    form.removeAttribute("aria-busy");
    if (html === null) return;
    draft.server = draft.area.value;
    draft.keep(false);
    place(html);
    history.replaceState(null, "", address({ grading: work().dataset.grading }));
    if (work().dataset.state !== "done") {
      work().querySelector("[data-stop]")?.focus();
      say("Your answer is being graded.");
      follow();
    }
  }

  // Looking through

  const rows = () => [...document.querySelectorAll(".judged > li")];
  const graded = () => document.querySelector("#graded-form");

  function choose(number, focus = true) {
    const list = rows();
    if (number < 1 || number > list.length) return;
    chosen = number;
    list.forEach((row, at) => row.classList.toggle("chosen", at === number - 1));
    for (const mark of document.querySelectorAll(".own-answer mark")) {
      mark.classList.toggle("chosen", mark.dataset.quotes.split(" ").includes(String(number)));
    }
    if (!focus) return;
    list[number - 1].focus({ preventScroll: true });
    list[number - 1].scrollIntoView({ block: "nearest" });
  }

  function show(focus = true) {
    const form = graded();
    if (!form) return;
    say(form.querySelector("[data-say]").textContent);
    if (!restored) {
      restored = true;
      if (restore(form)) return;
    }
    const first = rows().findIndex((row) => row.dataset.verdict === "unclear");
    if (chosen) choose(chosen, focus);
    else if (first >= 0) choose(first + 1);
    else document.querySelector("#criteria-title")?.setAttribute("tabindex", "-1");
  }

  // One question to the server at a time, the last state of the form each time: answers can't overtake.
  async function decide() {
    wanted = true;
    if (asking) return;
    asking = true;
    while (wanted) {
      wanted = false;
      const fields = Object.fromEntries(new FormData(graded()));
      for (const name of ["token", "rating", "proposed"]) delete fields[name];
      const html = await act(`/drill/${question}/decide`, fields);
      if (html !== null && !wanted) place(html);
    }
    asking = false;
  }

  function verdict(value) {
    const open = rows().findIndex((row) => row.dataset.verdict === "unclear");
    const row = rows()[(chosen || open + 1) - 1];
    const radio = row?.querySelector(`input[value=${value}]`);
    if (!radio) return;
    choose(rows().indexOf(row) + 1);
    radio.checked = true;
    row.dataset.verdict = value; // until the server's answer is here
    touched(radio);
    const next = rows().findIndex((each) => each.dataset.verdict === "unclear");
    if (next >= 0) choose(next + 1);
    else row.focus({ preventScroll: true });
  }

  function touched(radio) {
    remember(graded(), radio);
    decide();
  }

  function confirm() {
    const form = graded();
    const open = rows().findIndex((row) => row.dataset.verdict === "unclear");
    if (open >= 0) {
      choose(open + 1);
      say(`Criterion ${open + 1} waits for you: y or n. The button Confirm leaves it open.`);
      form.querySelector(".confirm-said").textContent = `Criterion ${open + 1} waits: y or n.`;
      return;
    }
    form.requestSubmit(form.querySelector("#confirm"));
  }

  const keys = {
    y: () => verdict("yes"),
    n: () => verdict("no"),
    r: () => {
      const radios = [...graded().querySelectorAll("[name=rating]")];
      const next = radios[(radios.findIndex((each) => each.checked) + 1) % radios.length];
      next.checked = true;
      say(next.parentElement.textContent.replace(/\s+/g, " ").trim());
    },
    Enter: (event) => {
      if (event.target.closest("a, button, summary")) return false;
      confirm();
      return true;
    },
  };

  document.addEventListener("keydown", (event) => {
    const ctrl = (event.ctrlKey || event.metaKey) && !event.altKey;
    const area = room.querySelector("#answer");
    if (ctrl && event.key === "Enter" && area) {
      event.preventDefault();
      area.form.requestSubmit(area.form.querySelector(".main-action"));
      return;
    }
    if (event.key === "Escape" && event.target === area) {
      area.form.querySelector(".main-action").focus();
      return;
    }
    if (!plain(event) || typing(event.target)) return;
    if (graded() && /^[1-9]$/.test(event.key)) {
      event.preventDefault();
      choose(Number(event.key));
    } else if (graded()?.querySelector("#confirm") && keys[event.key]) {
      if (keys[event.key](event) !== false) event.preventDefault();
    }
  });

  room.addEventListener("change", (event) => {
    const radio = event.target.closest(".judged input[type=radio]");
    if (!radio) return;
    const row = radio.closest("li");
    row.dataset.verdict = radio.value;
    choose(rows().indexOf(row) + 1, false);
    touched(radio);
  });

  room.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-live]");
    if (!form) return;
    const button = event.submitter;
    const url = button?.getAttribute("formaction") ?? form.getAttribute("action");
    event.preventDefault();
    if (form.id === "answer-form" && !button?.hasAttribute("formaction")) {
      await grade(form, button);
      return;
    }
    if (button?.hasAttribute("data-stop")) {
      const fields = Object.fromEntries(new FormData(form));
      delete fields.token;
      const html = await act(url, fields);
      if (html !== null) place(html);
      return;
    }
    // These answer with another page.
    leaving = true;
    try {
      form.querySelector("[name=token]").value = await takeToken();
    } catch {
      leaving = false;
      complain("The handbook does not answer. What you typed is kept in this browser.");
      return;
    }
    if (form.id === "answer-form") {
      draft.server = draft.area.value; // it goes with the form
      draft.keep(false);
    }
    form.action = url;
    HTMLFormElement.prototype.submit.call(form);
  });

  addEventListener("pageshow", (event) => {
    if (event.persisted) leaving = false; // back from that other page, as this one was left
  });

  if (document.querySelector("#last")) forget();
  begin();
  if (work()?.dataset.grading && work().dataset.state !== "done") follow();
  if (work()?.dataset.state === "done") show();
}

// On every page of the room: u takes the last one back, Enter on the list begins.
document.addEventListener("keydown", (event) => {
  if (!plain(event) || typing(event.target)) return;
  if (event.key === "u") document.querySelector("#undo")?.click();
  else if (event.key === "Enter" && !event.target.closest("a, button, summary, input")) {
    document.querySelector("[data-start]")?.click();
  }
});
