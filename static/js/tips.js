/* Tips on hover and focus from data-tip, and for whoever else has words for a place. */

let tip;

/** Say something above a box, or below it or beside it. */
export function showTip(box, title, text, beside = false) {
  tip ??= Object.assign(document.createElement("div"), { className: "tip", id: "tip" });
  tip.replaceChildren();
  const head = document.createElement(text ? "strong" : "span");
  head.textContent = title;
  tip.append(head, text ?? "");
  document.body.append(tip);
  const size = tip.getBoundingClientRect();
  const left = beside ? box.right + 10 : box.left + box.width / 2 - size.width / 2;
  const above = box.top - size.height - 8;
  const top = beside ? box.top + (box.height - size.height) / 2 : above < 4 ? box.bottom + 8 : above;
  tip.style.left = `${Math.min(Math.max(8, left), window.innerWidth - size.width - 8)}px`;
  tip.style.top = `${top}px`;
}

export function hideTip() {
  tip?.remove();
}

function show(element) {
  const { tip: title, tipText: text } = element.dataset;
  showTip(element.getBoundingClientRect(), title, text, element.matches(".nav-item"));
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
    } else if (!event.target.closest?.("[data-days]")) {
      hideTip();
    }
  });
  document.addEventListener("focusin", (event) => {
    const element = event.target.closest("[data-tip]");
    if (wanted(element) && element.matches(":focus-visible")) {
      show(element);
    }
  });
  document.addEventListener("focusout", hideTip);
  document.addEventListener("scroll", hideTip, { capture: true, passive: true });
  document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
}
