// Light, dark, or as the system says. The choice is a cookie, so that the server writes it into the page.
const button = document.querySelector("#theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function current() {
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

function say() {
  button?.setAttribute("aria-label", current() === "dark" ? "Use light colours" : "Use dark colours");
}

// The lab's frame is marimo's page. The server writes the choice into it too; this is for a change while it is open.
function tellLab(theme) {
  for (const frame of document.querySelectorAll(".lab iframe")) {
    const body = frame.contentDocument?.body;
    if (body) body.dataset.vscodeThemeKind = `vscode-${theme}`;
  }
}

export function toggleTheme() {
  const theme = current() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  document.cookie = `handbook_theme=${theme}; path=/; max-age=31536000; SameSite=Strict`;
  tellLab(theme);
  say();
}

button?.addEventListener("click", toggleTheme);
dark.addEventListener("change", say);
if (button) button.hidden = false;
say();
