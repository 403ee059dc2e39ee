// j/k sections, / or Ctrl-K search, a ask, t today, p plan, d drill, e exercises, ? all keys. Never while something is typed.
import { openPalette } from "./palette.js";

const help = document.querySelector("#keys");

function typing(element) {
  return element?.closest?.("input, textarea, select, [contenteditable], .editor") != null;
}

function toSection(step) {
  const headings = [...document.querySelectorAll("main section[id] > :is(h2, h3), main > h2[id]")];
  if (headings.length === 0) return;
  const edge = parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) + 4 || 4;
  const tops = headings.map((heading) => heading.getBoundingClientRect().top);
  const next = step > 0 ? tops.findIndex((top) => top > edge) : tops.findLastIndex((top) => top < edge - 8);
  if (next < 0) return;
  headings[next].tabIndex = -1;
  headings[next].focus({ preventScroll: true });
  headings[next].scrollIntoView();
}

const actions = {
  "/": openPalette,
  j: () => toSection(1),
  k: () => toSection(-1),
  a: () => {
    const box = document.querySelector("#ask-box");
    box?.scrollIntoView({ block: "center" });
    box?.focus({ preventScroll: true });
  },
  t: () => location.assign("/"),
  p: () => location.assign("/plan"),
  d: () => location.assign("/drill"),
  e: () => location.assign("/exercises"),
  "?": () => help?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.composedPath()[0])) return;
  if (document.querySelector("dialog[open]")) return;
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

document.querySelector("#show-keys")?.addEventListener("click", (event) => {
  event.preventDefault();
  help?.showModal();
});
