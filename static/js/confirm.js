/* Asks before something that hurts: buttons with data-confirm, and htmx's hx-confirm. */

const dialog = () => document.getElementById("confirm-dialog");

/** Open the dialog and resolve to true when the person says yes. */
function open({ title, text, action, tone }) {
  const box = dialog();
  box.querySelector("#confirm-title").textContent = title;
  box.querySelector("#confirm-text").textContent = text || "";
  box.querySelector("[data-confirm-yes]").textContent = action || box.dataset.actionLabel;
  box.dataset.tone = tone || "";
  box.returnValue = "cancel";
  box.showModal();
  return new Promise((resolve) => {
    box.addEventListener("close", () => resolve(box.returnValue === "confirm"), { once: true });
  });
}

function question(button) {
  const { confirmText, confirmAction, confirmTone } = button.dataset;
  return { text: confirmText, action: confirmAction, tone: confirmTone };
}

/** Ask on behalf of an element and let it act on a yes. It stays in place meanwhile: one that a live change has replaced
    would act no more. */
async function ask(element, title, act) {
  element.dataset.liveHold = "";
  if (await open({ ...question(element), title })) {
    act();
  }
  delete element.dataset.liveHold;
}

export function wireConfirm() {
  document.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest("button[data-confirm], input[data-confirm]");
      if (!button || button.dataset.confirmed !== undefined) {
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      ask(button, button.dataset.confirm, () => {
        button.dataset.confirmed = "";
        button.click();
        delete button.dataset.confirmed;
      });
    },
    { capture: true },
  );

  document.addEventListener("htmx:confirm", (event) => {
    if (event.detail.question) {
      event.preventDefault();
      ask(event.detail.elt, event.detail.question, () => event.detail.issueRequest(true));
    }
  });
}
