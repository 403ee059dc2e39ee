// On a phone the contents lie over the text: they close when a section of this page was chosen.
const contents = document.querySelector("#contents");
contents?.addEventListener("click", (event) => {
  if (event.target.closest("a[href^='#']") && contents.matches(":popover-open")) contents.hidePopover();
});
