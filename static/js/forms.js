/* Forms: reveal a secret, send filters by themselves, show that a submit is under way, go to the first error. */

const FILTER_DELAY_MS = 250;

function wireSecrets(root) {
  for (const toggle of root.querySelectorAll("[data-secret-toggle]")) {
    toggle.addEventListener("click", () => {
      const input = toggle.parentElement.querySelector("input");
      const shown = input.type === "text";
      input.type = shown ? "password" : "text";
      toggle.setAttribute("aria-pressed", String(!shown));
    });
  }
}

function wireAutosubmit(form) {
  const words = () => new URLSearchParams(new FormData(form)).toString();
  let sent = words();
  let timer;
  // A search that was sent while it was typed says "change" once more when the field is left.
  const send = () => words() === sent || form.requestSubmit();
  form.addEventListener("submit", () => {
    window.clearTimeout(timer);
    sent = words();
  });
  form.addEventListener("change", send);
  form.addEventListener("input", (event) => {
    if (event.target.type === "search") {
      window.clearTimeout(timer);
      timer = window.setTimeout(send, FILTER_DELAY_MS);
    }
  });
}

function wireBusy(form) {
  form.addEventListener("submit", (event) => {
    if (event.defaultPrevented && !form.hasAttribute("hx-post")) {
      return;
    }
    // After the event: a disabled button would not send its own name and value.
    window.setTimeout(() => event.submitter?.setAttribute("aria-busy", "true"));
  });
  form.addEventListener("htmx:afterRequest", () => {
    form.querySelectorAll("[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
  });
}

/** Parts of a form that matter only for one value of a select or radio: data-show-when="name=value other". */
function wireShowWhen(part) {
  const [name, values] = part.dataset.showWhen.split("=");
  const form = part.closest("form");
  const update = () => {
    part.hidden = !values.split(" ").includes(new FormData(form).get(name) ?? "");
  };
  form.addEventListener("change", update);
  update();
}

export function wireForms(root) {
  wireSecrets(root);
  root.querySelectorAll("form[data-autosubmit]").forEach(wireAutosubmit);
  root.querySelectorAll("form[data-busy-on-submit]").forEach(wireBusy);
  root.querySelectorAll("[data-show-when]").forEach(wireShowWhen);
  const errors = root.querySelector("[data-form-errors]");
  if (errors) {
    const form = errors.closest("form") ?? document;
    (form.querySelector(".field--invalid :is(input, select, textarea)") ?? errors).focus();
  }
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.querySelector("[data-slash-focus]");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
});

// A page shown again by the back button must not keep its spinner.
window.addEventListener("pageshow", (event) => {
  if (!event.persisted) {
    return;
  }
  document.querySelectorAll(".btn[aria-busy]").forEach((button) => button.removeAttribute("aria-busy"));
});
