/* Short news in the corner: from Django's messages, from htmx's HX-Trigger header, and from other modules. */

const STAYS_MS = 6000;

function leave(note) {
  note.classList.add("is-leaving");
  window.setTimeout(() => note.remove(), 180);
}

/** Errors stay until closed; the rest waits while the pointer or the focus is on it. */
function arm(note) {
  note.querySelector("[data-toast-close]").addEventListener("click", () => leave(note));
  if (note.dataset.tone === "error") {
    return;
  }
  let timer;
  const stop = () => window.clearTimeout(timer);
  // The pointer may go while the focus stays, and the other way round.
  const start = () => {
    stop();
    timer = window.setTimeout(() => (note.matches(":hover, :focus-within") ? start() : leave(note)), STAYS_MS);
  };
  note.addEventListener("pointerenter", stop);
  note.addEventListener("pointerleave", start);
  note.addEventListener("focusin", stop);
  note.addEventListener("focusout", start);
  start();
}

export function toast({ text, tone = "info" }) {
  const note = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  note.classList.replace("state-info", `state-${tone}`);
  note.dataset.tone = tone;
  note.querySelector("[data-toast-text]").textContent = text;
  document.getElementById("toasts").append(note);
  arm(note);
}

export function wireToasts() {
  document.querySelectorAll("#toasts [data-toast]").forEach(arm);
  document.body.addEventListener("toast", (event) => {
    const news = event.detail.value ?? event.detail;
    (Array.isArray(news) ? news : [news]).forEach((each) => toast(typeof each === "string" ? { text: each } : each));
  });
}
