// Margin notes: set beside the line that they belong to; claim notes open on hover, focus and click.
const article = document.querySelector("article.reading");
const wide = matchMedia("(min-width: 68rem)");

let due = 0;
function later() {
  cancelAnimationFrame(due);
  due = requestAnimationFrame(place);
}

function notesFor(link) {
  return article.querySelector(`[id="${CSS.escape(link.hash.slice(1))}"]`);
}

// Reads every position first and writes afterwards: one layout, however many notes.
function place() {
  const notes = [...article.querySelectorAll(".note:not(.note .note)")];
  article.classList.toggle("placed", wide.matches);
  if (!wide.matches) {
    for (const note of notes) note.style.top = "";
    return;
  }
  const origin = article.getBoundingClientRect().top;
  const measured = notes.filter((note) => !note.matches(".open.cite-note")).map((note) => {
    const link = note.id && article.querySelector(`a[href="#${CSS.escape(note.id)}"]`);
    const beside = link || note.previousElementSibling || note.parentElement;
    return [note, beside.getBoundingClientRect().top - origin, note.offsetHeight];
  });
  let free = 0;
  for (const [note, wanted, height] of measured) {
    const floating = note.classList.contains("claim-note");
    const top = floating ? wanted : Math.max(wanted, free);
    note.style.top = `${Math.round(top)}px`;
    if (!floating) free = top + height + 12;
  }
}

// A note stands where its subject is first mentioned; opened from a later mention, it comes there.
function openNote(link, how) {
  const note = notesFor(link);
  if (!note) return;
  if (wide.matches) {
    const top = link.getBoundingClientRect().top - article.getBoundingClientRect().top;
    note.style.top = `${Math.round(top)}px`;
  } else {
    const block = link.closest("p, li, .table, figure, blockquote");
    if (block && block.nextElementSibling !== note) (block.closest("ul, ol") ?? block).after(note);
  }
  note.classList.add("open");
  link.setAttribute("aria-expanded", "true");
  if (how === "pin") note.dataset.pinned = "";
}

function closeNote(link, force = false) {
  const note = notesFor(link);
  if (!note || link.getAttribute("aria-expanded") === "false") return;
  if (!force && ("pinned" in note.dataset || note.matches(":hover, :focus-within"))) return;
  delete note.dataset.pinned;
  note.classList.remove("open");
  link.setAttribute("aria-expanded", "false");
  later();
}

function listen(link) {
  const note = notesFor(link);
  if (!note) return;
  link.setAttribute("aria-expanded", "false");
  if (link.classList.contains("claim")) {
    link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && openNote(link));
    link.addEventListener("pointerleave", () => setTimeout(closeNote, 200, link));
    link.addEventListener("focus", () => openNote(link));
    link.addEventListener("blur", () => setTimeout(closeNote, 200, link));
    note.addEventListener("pointerleave", () => setTimeout(closeNote, 200, link));
    note.addEventListener("focusout", () => setTimeout(closeNote, 200, link));
  }
  link.addEventListener("click", (event) => {
    event.preventDefault();
    if ("pinned" in note.dataset) closeNote(link, true);
    else openNote(link, "pin");
  });
}

if (article) {
  const links = [...article.querySelectorAll("a.claim, a.cite")];
  links.forEach(listen);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const link of links) closeNote(link, true);
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest(".note, a.claim, a.cite")) return;
    for (const link of links) closeNote(link, true);
  });
  place();
  new ResizeObserver(later).observe(article);
  document.addEventListener("handbook:math", later);
  document.fonts.ready.then(later);
}
