// Search as you type, and commands: a combobox over a list of links.
const dialog = document.querySelector("#palette");
const input = dialog?.querySelector("input");
const list = dialog?.querySelector("ul");
const count = dialog?.querySelector("[role=status]");
let asking = null;
let chosen = -1;

export function openPalette() {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  input.select();
  ask();
}

function choose(index) {
  const options = [...list.children];
  if (options.length === 0) return;
  chosen = (index + options.length) % options.length;
  for (const [at, option] of options.entries()) option.setAttribute("aria-selected", String(at === chosen));
  options[chosen].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", options[chosen].id);
}

function show(results) {
  list.replaceChildren(
    ...results.map((result, at) => {
      const item = document.createElement("li");
      item.id = `found-${at}`;
      item.role = "option";
      item.dataset.url = result.url;
      const title = document.createElement("span");
      title.className = "found-title";
      title.textContent = result.title;
      const kind = document.createElement("span");
      kind.className = "found-kind";
      kind.textContent = result.kind;
      const text = document.createElement("span");
      text.className = "found-text";
      text.textContent = result.text;
      item.append(title, kind, text);
      return item;
    }),
  );
  chosen = -1;
  input.removeAttribute("aria-activedescendant");
  if (results.length > 0) choose(0);
  count.textContent = results.length === 1 ? "1 result" : `${results.length} results`;
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  // After 300 ms without an answer it shows that it works, and what stands there answers nothing any more.
  const slow = setTimeout(() => {
    list.replaceChildren();
    count.textContent = "Searching…";
  }, 300);
  asking.signal.addEventListener("abort", () => clearTimeout(slow));
  try {
    const response = await fetch(`/search.json?q=${encodeURIComponent(input.value)}`, { signal: asking.signal });
    const found = response.ok && (await response.json()).results;
    clearTimeout(slow);
    if (found) show(found);
    else count.textContent = "The search failed. Enter shows why.";
  } catch (error) {
    if (error.name === "AbortError") return;
    clearTimeout(slow);
    count.textContent = "The handbook does not answer. Is it still running?";
  }
}

function go(option) {
  dialog.close();
  if (option?.dataset.url) location.assign(option.dataset.url);
  else if (input.value) location.assign(`/search?q=${encodeURIComponent(input.value)}`);
}

if (dialog) {
  let wait = 0;
  input.addEventListener("input", () => {
    // What stands in the list answers an older text: Enter must not follow it.
    chosen = -1;
    input.removeAttribute("aria-activedescendant");
    for (const option of list.children) option.setAttribute("aria-selected", "false");
    clearTimeout(wait);
    wait = setTimeout(ask, 70);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Enter") go(list.children[chosen]);
    else return;
    event.preventDefault();
  });
  list.addEventListener("click", (event) => go(event.target.closest("li")));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  for (const opener of document.querySelectorAll("[data-palette]")) {
    opener.addEventListener("click", (event) => {
      event.preventDefault();
      openPalette();
    });
  }
}
