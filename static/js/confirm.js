/* Asks before something that hurts: buttons with data-confirm, and htmx's hx-confirm. */

const dialog = () => document.getElementById("confirm-dialog");

/** Open the dialog and resolve to true when the person says yes. */
function ask({ title, text, action, tone }) {
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
  const { confirm, confirmText, confirmAction, confirmTone } = button.dataset;
  return { title: confirm, text: confirmText, action: confirmAction, tone: confirmTone };
}

export function wireConfirm() {
  document.addEventListener(
    "click",
    async (event) => {
      const button = event.target.closest("button[data-confirm], input[data-confirm]");
      if (!button || button.dataset.confirmed !== undefined) {
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
      if (await ask(question(button))) {
        button.dataset.confirmed = "";
        button.click();
        delete button.dataset.confirmed;
      }
    },
    { capture: true },
  );

  document.addEventListener("htmx:confirm", async (event) => {
    if (!event.detail.question) {
      return;
    }
    event.preventDefault();
    if (await ask({ ...question(event.detail.elt), title: event.detail.question })) {
      event.detail.issueRequest(true);
    }
  });
}
