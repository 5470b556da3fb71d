/* Tips on hover and focus from data-tip; bars of days can also be walked with the arrow keys. */

let tip;

function show(element) {
  const { tip: title, tipText: text } = element.dataset;
  tip ??= Object.assign(document.createElement("div"), { className: "tip", id: "tip" });
  tip.replaceChildren();
  const head = document.createElement(text ? "strong" : "span");
  head.textContent = title;
  tip.append(head, text ?? "");
  document.body.append(tip);
  const box = element.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const beside = element.matches(".nav-item");
  const left = beside ? box.right + 10 : box.left + box.width / 2 - size.width / 2;
  const above = box.top - size.height - 8;
  const top = beside ? box.top + (box.height - size.height) / 2 : above < 4 ? box.bottom + 8 : above;
  tip.style.left = `${Math.min(Math.max(8, left), window.innerWidth - size.width - 8)}px`;
  tip.style.top = `${top}px`;
}

function hide() {
  tip?.remove();
}

/** In the wide sidebar the words stand there already. */
function wanted(element) {
  return element && !(element.matches(".nav-item") && document.documentElement.dataset.sidebar !== "collapsed");
}

export function wireTips() {
  document.addEventListener("pointerover", (event) => {
    const element = event.target.closest?.("[data-tip]");
    if (wanted(element)) {
      show(element);
    } else {
      hide();
    }
  });
  document.addEventListener("focusin", (event) => {
    const element = event.target.closest("[data-tip]");
    if (wanted(element) && element.matches(":focus-visible")) {
      show(element);
    }
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
}
