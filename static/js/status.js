/* Says a changed verdict aloud, once, and keeps the tab's title true. The words stand in the part that htmx swaps;
   the element that speaks stays where it is, since a live region that is replaced says nothing. */

const announcer = document.querySelector("[data-announcer]");
const name = document.title.slice(document.title.indexOf(" · "));

function verdict() {
  return document.querySelector("[data-announce]");
}

let said = verdict()?.dataset.announce;

document.addEventListener("htmx:load", () => {
  const now = verdict();
  if (now && announcer && now.dataset.announce !== said) {
    said = now.dataset.announce;
    announcer.textContent = said;
    document.title = now.textContent + name;
  }
});
