// CodeMirror over the exercise's textarea. It lives in a shadow root, where its style sheets are
// constructed rather than inserted, which a strict content security policy allows.
//
// A plain setup: no completion and no search panel, as at a whiteboard.
import "./exercise.js"; // first: it puts the newer of two drafts into the textarea
import { EditorView, minimalSetup } from "codemirror";
import { highlightActiveLine, keymap, lineNumbers } from "@codemirror/view";
import { indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { HighlightStyle, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { tags } from "@lezer/highlight";

const area = document.querySelector("textarea[data-editor]");

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: tags.comment, color: "var(--code-comment)", fontStyle: "italic" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: [tags.function(tags.variableName), tags.definition(tags.variableName)], color: "var(--code-name)" },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "var(--code-paper)", color: "var(--ink)", fontSize: "0.9rem" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "1px" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--ink)", padding: "0.75rem 0" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.5", minHeight: "18rem", maxHeight: "70vh" },
  ".cm-gutters": { backgroundColor: "var(--code-paper)", color: "var(--ink-2)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--line-faint)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--selection)",
  },
});

// Typing over a selection is done here: Chrome's own way inserts a styled span, which the policy blocks aloud.
const typeOver = EditorView.domEventHandlers({
  beforeinput(event, view) {
    if (event.inputType !== "insertText" || event.isComposing || view.state.selection.main.empty) return false;
    event.preventDefault();
    view.dispatch(view.state.replaceSelection(event.data), { scrollIntoView: true, userEvent: "input.type" });
    return true;
  },
});

if (area) {
  const form = area.form;
  const host = document.createElement("div");
  host.className = "editor";
  const root = host.attachShadow({ mode: "open" });
  area.before(host);

  const leave = () => (area.dispatchEvent(new Event("handbook:leave")), true);
  let setting = false;
  const view = new EditorView({
    doc: area.value, // exercise.js has put the newer of two drafts there
    root,
    parent: root,
    extensions: [
      keymap.of([
        { key: "Mod-Enter", run: () => true }, // the page runs it
        { key: "Mod-Shift-Enter", run: () => true },
        { key: "Escape", run: leave },
        indentWithTab,
      ]),
      minimalSetup,
      lineNumbers(),
      highlightActiveLine(),
      indentOnInput(),
      bracketMatching(),
      typeOver,
      python(),
      indentUnit.of("    "),
      syntaxHighlighting(colours),
      look,
      EditorView.contentAttributes.of({ "aria-label": "Your code" }),
      EditorView.updateListener.of((update) => {
        if (!update.docChanged || setting) return;
        area.value = update.state.doc.toString();
        area.dispatchEvent(new Event("input"));
      }),
    ],
  });
  area.hidden = true;
  form.querySelector(`label[for="${area.id}"]`)?.addEventListener("click", () => view.focus());
  area.addEventListener("handbook:set", () => {
    setting = true;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: area.value } });
    setting = false;
  });
  host.editorView = view;
  // Heights were taken in the fallback face if the monospace came later.
  document.fonts.ready.then(() => view.requestMeasure());
}
