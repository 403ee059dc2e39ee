// Turns <span class="math" data-tex="..."> into set mathematics. The TeX stands there until then, and if it fails.
import katex from "katex";

function typeset(root) {
  for (const element of root.querySelectorAll(".math[data-tex]:not([data-set])")) {
    try {
      katex.render(element.dataset.tex, element, {
        displayMode: element.classList.contains("block"),
        throwOnError: true,
        strict: "ignore",
        trust: false,
      });
      element.dataset.set = "";
    } catch (error) {
      element.title = error.message;
      element.classList.add("math-fault");
    }
  }
}

typeset(document);
document.documentElement.dataset.math = "set";
document.dispatchEvent(new CustomEvent("handbook:math"));
document.addEventListener("htmx:afterSwap", (event) => typeset(event.target));
document.addEventListener("handbook:inserted", (event) => typeset(event.target));
