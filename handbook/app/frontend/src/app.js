// The scripts of every page (rooms with much of their own have a bundle beside). Pages work before this file arrives; each module adds one comfort.
import "htmx.org/dist/htmx.esm.js";
import "./token.js";
import "./theme.js";
import "./keys.js";
import "./palette.js";
import "./contents.js";
import "./notes.js";
import "./reading.js";
import "./ask.js";
import "./signals.js";
import "./engine.js";

// Said once the room's own scripts, which come after this one, are there too.
addEventListener("DOMContentLoaded", () => (document.documentElement.dataset.ready = ""));
