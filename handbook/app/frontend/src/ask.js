// The generated answer under a cited one: streamed, each sentence with its verdict, and it can be stopped.
import { stream } from "./token.js";

const form = document.querySelector("#generate");

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

// Text with $...$ as elements that math.js sets; the same rule as `marked` of web/pages.py.
function withMath(text) {
  return text.split(/(?<![\\\d])\$(?!\s)([^$\n]+)(?<![\s\\])\$(?!\d)/).map((piece, at) => {
    if (at % 2 === 0) return piece;
    const math = element("span", "math", piece);
    math.dataset.tex = piece;
    return math;
  });
}

function sentence(data) {
  const made = element("p", data.supported ? "sentence" : "sentence unsupported");
  made.append(...withMath(data.text), " ");
  for (const citation of data.citations) {
    const link = element("a", "cite-link", citation.title);
    link.href = citation.url;
    made.append(link, " ");
  }
  if (!data.supported) made.append(element("span", "verdict", "not supported by the passages"));
  return made;
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const out = document.querySelector("#generated");
  const button = form.querySelector("button");
  if (button.dataset.running) {
    button.controller.abort();
    return;
  }
  const label = button.textContent;
  const draft = element("p", "draft");
  const state = element("p", "state", "Reading the passages…");
  out.replaceChildren(draft, state);
  button.controller = new AbortController();
  button.dataset.running = "1";
  button.textContent = "Stop";
  const began = performance.now();
  const clock = setInterval(() => {
    state.textContent = `${((performance.now() - began) / 1000).toFixed(0)} s`;
  }, 1000);
  try {
    await stream(
      form.action,
      Object.fromEntries(["question", "corpus", "after"].map((name) => [name, form.elements[name].value])),
      (name, data) => {
        if (name === "token") draft.textContent += data.text;
        if (name === "sentence") {
          draft.textContent = "";
          const made = sentence(data);
          out.insertBefore(made, draft);
          made.dispatchEvent(new CustomEvent("handbook:inserted", { bubbles: true }));
        }
        if (name === "error") throw new Error(`${data.what} ${data.remedy}`);
        if (name === "done") state.dataset.done = data.note;
      },
      button.controller.signal,
    );
    state.textContent = state.dataset.done ?? "";
  } catch (error) {
    state.textContent = error.name === "AbortError" ? "Stopped." : error.message;
  }
  clearInterval(clock);
  draft.remove();
  delete button.dataset.running;
  button.textContent = label;
});
