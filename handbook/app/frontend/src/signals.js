// A citation that is opened is told to the handbook. Browsers do so for `ping` by themselves, but not all of them:
// so here it is done for all, once.
for (const link of document.querySelectorAll("a[ping]")) {
  const address = link.ping;
  link.removeAttribute("ping");
  const tell = (event) => {
    if (event.button < 2) navigator.sendBeacon(address);
  };
  link.addEventListener("click", tell);
  link.addEventListener("auxclick", tell);
}
