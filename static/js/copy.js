/* Copy buttons: the text goes to the clipboard, the icon and a spoken word say so. */

const SHOWN_MS = 1600;

async function copyText(text) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Plain http on another host has no clipboard API; the old command still works there.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

export function wireCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) {
      return;
    }
    await copyText(button.dataset.copy);
    const label = button.getAttribute("aria-label");
    button.classList.add("is-copied");
    button.setAttribute("aria-label", button.dataset.copiedLabel);
    window.setTimeout(() => {
      button.classList.remove("is-copied");
      if (label === null) {
        button.removeAttribute("aria-label");
      } else {
        button.setAttribute("aria-label", label);
      }
    }, SHOWN_MS);
  });
}
