/* The command palette: Ctrl or ⌘ with K, type, arrows, Enter. The server searches; only the newest answer is shown. */

const DELAY_MS = 120;

const dialog = document.getElementById("palette");
const input = dialog.querySelector("input");
const list = dialog.querySelector("[data-palette-jumps]");
let timer = 0;
let asking = new AbortController();
let isFresh = false; // the list answers what is typed
let isMoved = false; // somebody has chosen by arrow since
let isEntered = false; // Enter came before the answer

const jumps = () => [...list.querySelectorAll("[role=option]")];
const chosen = () => list.querySelector("[aria-selected=true]");

function choose(jump) {
  chosen()?.setAttribute("aria-selected", "false");
  if (jump) {
    jump.setAttribute("aria-selected", "true");
    jump.scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", jump.id);
  } else {
    input.removeAttribute("aria-activedescendant");
  }
}

function show(html) {
  const href = isMoved ? chosen()?.getAttribute("href") : null;
  list.innerHTML = html;
  choose(jumps().find((jump) => jump.getAttribute("href") === href) ?? jumps()[0]);
  isFresh = true;
  if (isEntered) {
    chosen()?.click();
  }
}

/** What comes in for an earlier text is not wanted any more. */
function forget() {
  window.clearTimeout(timer);
  asking.abort();
  isFresh = isMoved = isEntered = false;
}

async function ask() {
  asking = new AbortController();
  const url = `${dialog.dataset.palette}?${new URLSearchParams({ q: input.value })}`;
  try {
    const answer = await fetch(url, { signal: asking.signal });
    if (answer.ok) {
      show(await answer.text());
    }
  } catch (error) {
    if (error.name !== "AbortError") {
      list.replaceChildren();
    }
  }
}

function open() {
  if (document.querySelector("dialog[open]")) {
    return;
  }
  input.value = "";
  dialog.showModal();
  input.focus();
  forget();
  ask();
}

function step(by) {
  const all = jumps();
  isMoved = true;
  choose(all[(all.indexOf(chosen()) + by + all.length) % all.length]);
}

const KEYS = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  Enter: () => (isFresh || isMoved ? chosen()?.click() : (isEntered = true)),
};

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    if (dialog.open) {
      dialog.close();
    } else {
      open();
    }
  }
});
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-palette-open]")) {
    open();
  } else if (event.target === dialog) {
    dialog.close();
  }
});
input.addEventListener("keydown", (event) => {
  if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});
dialog.addEventListener("close", forget);
input.addEventListener("input", () => {
  forget();
  timer = window.setTimeout(ask, DELAY_MS);
});
