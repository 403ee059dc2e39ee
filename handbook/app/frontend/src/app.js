// The scripts of every page. Pages work before this file arrives; each module adds one comfort.
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
import "./live.js";
import "./training.js";
import "./exercise.js";

document.documentElement.dataset.ready = "";
