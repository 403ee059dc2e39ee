// A section whose end was seen, after some seconds with it, counts as read. Said quietly, and undone with one press.
import { post } from "./token.js";

const article = document.querySelector("article.reading[data-chapter]");
const said = document.querySelector("#read-said");
const DWELL = 4000;

function mark(id, read) {
  for (const link of document.querySelectorAll(`.contents a[href$="#${CSS.escape(id)}"]`)) {
    link.classList.toggle("is-read", read);
    const note = link.querySelector(".read-note");
    if (note) note.hidden = !read;
  }
}

async function change(ids, read) {
  const section = ids.join(" ");
  const response = await post("/reading", { chapter: article.dataset.chapter, section, read: read ? "1" : "0" });
  if (response.ok) for (const id of ids) mark(id, read);
  return response.ok;
}

// Sections that end on one screen are read at once: they are said, and undone, together.
async function say(ids, titles) {
  if (!(await change(ids, true)) || !said) return;
  const undo = document.createElement("button");
  undo.type = "button";
  undo.className = "quiet";
  undo.textContent = "Undo";
  undo.addEventListener("click", async () => {
    if ((await change(ids, false)) && undo.isConnected) said.replaceChildren();
  });
  said.replaceChildren(`Read: ${titles.join(", ")}. `, undo);
}

if (article) {
  const read = new Set((article.dataset.read ?? "").split(" ").filter(Boolean));
  const all = [...article.querySelectorAll("section[id]")];
  const sections = all.filter((section) => !read.has(section.id));
  const here = new Map();
  const ended = new Set();
  const contents = new Map(
    [...document.querySelectorAll(".contents a[href*='#']")].map((link) => [link.hash.slice(1), link]),
  );
  let timer = 0;

  const tick = () => {
    if (document.hidden) return;
    const now = [];
    for (const [section, seconds] of here) {
      const total = seconds + 1000;
      here.set(section, total);
      if (total < DWELL || !ended.has(section) || read.has(section.id)) continue;
      read.add(section.id);
      here.delete(section);
      now.push(section.id);
    }
    if (now.length > 0) say(now, now.map((id) => contents.get(id)?.dataset.title ?? id));
  };
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && !read.has(target.id)) here.set(target, here.get(target) ?? 0);
      else here.delete(target);
    }
    clearInterval(timer);
    if (here.size > 0) timer = setInterval(tick, 1000);
  });
  const ends = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) ended.add(target.closest("section[id]"));
  });
  // The contents mark the innermost section under a line near the top of the window.
  const under = new Set();
  const current = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) under.add(target);
        else under.delete(target);
      }
      const at = all.findLast((section) => under.has(section));
      if (!at) return;
      for (const link of contents.values()) link.removeAttribute("aria-current");
      contents.get(at.id)?.setAttribute("aria-current", "location");
    },
    { rootMargin: "-15% 0px -84% 0px" },
  );
  for (const section of sections) {
    seen.observe(section);
    const last = [...section.children].filter((child) => !child.matches("aside, section")).at(-1);
    if (last) ends.observe(last);
  }
  for (const section of all) current.observe(section);
}
