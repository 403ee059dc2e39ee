// Chat with the built-in model: tokens as they come, the speed beside them.
import { stream } from "./token.js";

const form = document.querySelector("#chat");
const log = document.querySelector("#chat-log");

function turn(role, text) {
  const made = document.createElement("li");
  made.className = `turn turn-${role}`;
  const who = document.createElement("span");
  who.className = "who";
  who.textContent = role === "user" ? "You" : form.dataset.model;
  const said = document.createElement("div");
  said.className = "said";
  said.textContent = text;
  const speed = document.createElement("p");
  speed.className = "speed";
  made.append(who, said, speed);
  log.append(made);
  return { said, speed };
}

if (form) {
  const history = JSON.parse(form.elements.history.value || "[]");
  const button = form.querySelector("button[type=submit]");
  let controller = null;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (controller) {
      controller.abort();
      return;
    }
    const text = form.elements.message.value.trim();
    if (!text) return;
    history.push({ role: "user", content: text });
    turn("user", text);
    form.elements.message.value = "";
    const { said, speed } = turn("assistant", "");
    speed.textContent = "Loading the model, if it is the first message…";
    controller = new AbortController();
    button.textContent = "Stop";
    let tokens = 0;
    let began = 0;
    try {
      const fields = Object.fromEntries(new FormData(form));
      await stream(
        "/engine/chat",
        { ...fields, message: text, history: JSON.stringify(history.slice(0, -1)) },
        (name, data) => {
          if (name === "token") {
            if (!began) began = performance.now();
            tokens += 1;
            said.textContent += data.text;
            const seconds = (performance.now() - began) / 1000;
            speed.textContent = seconds > 0.3 ? `${(tokens / seconds).toFixed(1)} pieces a second` : "";
          }
          if (name === "error") throw new Error(`${data.what} ${data.remedy}`);
          if (name === "done") speed.textContent = data.note;
        },
        controller.signal,
      );
    } catch (error) {
      speed.textContent = error.name === "AbortError" ? "Stopped." : error.message;
    }
    history.push({ role: "assistant", content: said.textContent });
    controller = null;
    button.textContent = "Send";
  });
  form.elements.message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  document.querySelector("#chat-clear")?.addEventListener("click", () => {
    history.length = 0;
    log.replaceChildren();
    form.elements.message.focus();
  });
}
