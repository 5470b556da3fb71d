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

const shown = new WeakMap();

function hideCopied(button, label) {
  shown.delete(button);
  button.classList.remove("is-copied");
  if (label === null) {
    button.removeAttribute("aria-label");
  } else {
    button.setAttribute("aria-label", label);
  }
}

/** Say so for a while; copied again meanwhile, it is said for longer, and the button gets its own words back. */
function showCopied(button) {
  const { label, timer } = shown.get(button) ?? { label: button.getAttribute("aria-label") };
  window.clearTimeout(timer);
  button.classList.add("is-copied");
  button.setAttribute("aria-label", button.dataset.copiedLabel);
  shown.set(button, { label, timer: window.setTimeout(() => hideCopied(button, label), SHOWN_MS) });
}

export function wireCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      await copyText(button.dataset.copy);
      showCopied(button);
    }
  });
}
