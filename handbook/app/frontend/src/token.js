// One-time tokens: every scripted change of state takes a fresh one. Forms carry their own in a hidden field.
let spare = null;

export async function takeToken() {
  const held = spare;
  spare = null;
  if (held) return held;
  const response = await fetch("/token", { headers: { Accept: "text/plain" }, cache: "no-store" });
  if (!response.ok) throw new Error("No token: is the handbook still running?");
  return response.text();
}

function keep(token) {
  if (token) spare = token;
}

// POST a form body; a token from before a restart of the server is replaced once.
export function post(url, fields, options = {}) {
  return send(url, fields, { Accept: options.accept ?? "application/json" }, options.signal);
}

export async function send(url, fields, headers, signal) {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(url, {
      method: "POST",
      body: new URLSearchParams(fields),
      headers: { ...headers, "X-Handbook-Token": await takeToken() },
      signal,
    });
    keep(response.headers.get("X-Handbook-Token"));
    if (response.status === 403 && response.headers.has("X-Handbook-Retry") && attempt === 0) continue;
    return response;
  }
}

// What a page sends while it goes, with a token in the address; only a spare one, since nothing can be waited for.
export function beacon(url, fields) {
  if (!spare) return;
  navigator.sendBeacon(`${url}?token=${encodeURIComponent(spare)}`, new URLSearchParams(fields));
  spare = null;
}

// Server-sent events from a POST: calls onEvent(name, data) for each.
export async function stream(url, fields, onEvent, signal) {
  const response = await post(url, fields, { accept: "text/event-stream", signal });
  if (!response.ok) throw new Error((await response.json()).what ?? response.statusText);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    buffer += value;
    const events = buffer.split("\n\n");
    buffer = events.pop();
    for (const event of events) {
      const name = /^event: (.*)$/m.exec(event)?.[1] ?? "message";
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data) onEvent(name, JSON.parse(data));
    }
  }
}

// For the bundle of the exercise's page, which shares these rather than hold tokens of its own.
globalThis.handbookTokens = { beacon, post, send, takeToken };

// htmx asks before each request, which lets a token be fetched first.
let next = null;
document.addEventListener("htmx:confirm", (event) => {
  if (event.detail.verb === "get" || event.detail.question) return;
  event.preventDefault();
  takeToken().then((token) => {
    next = token;
    event.detail.issueRequest(true);
  });
});
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb === "get") return;
  event.detail.headers["X-Handbook-Token"] = next;
  next = null;
});
document.addEventListener("htmx:afterRequest", (event) => keep(event.detail.xhr.getResponseHeader("X-Handbook-Token")));
document.addEventListener("htmx:beforeSwap", (event) => {
  // An error that comes as a fragment is shown where the answer would have been.
  if (event.detail.xhr.status >= 400 && event.detail.xhr.getResponseHeader("X-Handbook-Fragment")) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
});

// A page that comes back from history holds a spent token in its forms.
addEventListener("pageshow", async (event) => {
  const returned = event.persisted || performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  const fields = document.querySelectorAll('input[name="token"]');
  if (!returned || fields.length === 0) return;
  const token = await takeToken();
  for (const field of fields) field.value = token;
});
