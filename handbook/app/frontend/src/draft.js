// A draft (of an exercise, of an answer): kept in this browser with every key, and on the server after a pause
// and at least once a second, so that it survives either. The server's moment of a draft is its version; what
// was typed since is "dirty".
const { beacon, post } = globalThis.handbookTokens; // app.js, which comes first, has put them there

const PAUSE = 600; // milliseconds without a key
const LATEST = 1000; // milliseconds after a key, with or without a pause
const RETRY = 3000;

// url: where it is sent, as `field`, with what `also` gives beside. key: under which this browser keeps it.
export class Draft {
  constructor(area, said, { url, key, field = "code", also = () => ({}) }) {
    this.area = area;
    this.said = said;
    this.url = url;
    this.key = `handbook:draft:${key}`;
    this.fields = () => ({ ...also(), [field]: area.value, base: this.version });
    this.version = area.dataset.version;
    this.server = area.value;
    this.timer = null;
    this.since = null; // the first key that was not sent
    this.saving = null;
    this.other = null;
    this.choose();
    area.addEventListener("input", () => this.typed());
    addEventListener("pagehide", () => this.leave());
    addEventListener("online", () => this.save());
  }

  local() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.key));
      return kept && typeof kept.code === "string" ? kept : null;
    } catch {
      return null;
    }
  }

  keep(dirty) {
    const kept = { code: this.area.value, version: this.version, dirty, at: Date.now() };
    try {
      localStorage.setItem(this.key, JSON.stringify(kept));
    } catch {
      // a full or forbidden store: the server still has it
    }
  }

  // Which text stands in the editor: the newer one. The other one is offered where it differs.
  choose() {
    const kept = this.local();
    const known = [this.area.value, this.area.dataset.before];
    if (!kept?.dirty || kept.code === this.area.value) {
      // The server may have taken the last words while it made this page, which is older then.
      if (kept && this.version && Date.parse(kept.version) > Date.parse(this.version)) {
        this.area.value = this.server = kept.code;
        this.version = kept.version;
      }
      this.keep(false);
      return;
    }
    const newer = kept.version === this.version || kept.at > Date.parse(this.version || 0);
    if (newer) {
      const before = this.area.value;
      this.area.value = kept.code;
      this.say("What you typed last is back; the handbook had not kept it yet.");
      if (kept.version !== this.version && this.version) this.offer(before);
      this.typed();
    } else {
      if (!known.includes(kept.code)) this.offer(kept.code);
      this.keep(false);
    }
  }

  offer(text) {
    this.other = text;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = "Use it";
    button.addEventListener("click", () => {
      const mine = this.area.value;
      this.set(this.other);
      this.say("");
      this.offer(mine);
      this.typed();
    });
    this.said.append(" Another text was typed elsewhere. ", button);
  }

  set(text) {
    this.area.value = text;
    this.area.dispatchEvent(new Event("handbook:set"));
  }

  say(words) {
    this.said.textContent = words;
  }

  typed() {
    this.keep(true);
    this.since ??= Date.now();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), Math.min(PAUSE, Math.max(0, this.since + LATEST - Date.now())));
  }

  // Resolves when what stands in the editor now is on the server, or could not be sent.
  save() {
    clearTimeout(this.timer);
    this.since = null;
    this.saving = (this.saving ?? Promise.resolve()).then(() => this.send());
    return this.saving;
  }

  async send() {
    const code = this.area.value;
    if (code === this.server) return;
    try {
      const response = await post(this.url, this.fields());
      if (!response.ok) throw new Error((await response.json()).what);
      this.took(code, (await response.json()).version);
      if (this.failed) this.say("Kept.");
      this.failed = false;
    } catch (error) {
      const why = error instanceof TypeError ? "The handbook does not answer." : error.message;
      this.say(`${why} What you type is kept in this browser.`);
      this.failed = true;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.save(), RETRY);
    }
  }

  // The server has this text now, under this version.
  took(code, version) {
    this.server = code;
    this.version = version;
    this.keep(this.area.value !== code);
  }

  // Sent by the browser itself while the page goes: nobody hears the answer, so it stays dirty here.
  leave() {
    if (this.area.value === this.server) return;
    beacon(this.url, this.fields());
  }
}
