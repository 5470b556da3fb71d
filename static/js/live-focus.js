/* Whoever walks through a page by keyboard keeps their place when a live part of it comes anew. */

/** Where an element stands: below the nearest one with an id, the how-maniest child of the how-maniest …; a slider's value. */
function placeOf(element) {
  const steps = [];
  let up = element;
  while (!up.id && up.parentElement) {
    steps.unshift([...up.parentElement.children].indexOf(up));
    up = up.parentElement;
  }
  return { id: up.id, steps, tag: element.tagName, value: element.getAttribute("aria-valuenow") };
}

function elementAt({ id, steps, tag }) {
  const found = steps.reduce((up, step) => up?.children[step], document.getElementById(id));
  return found?.tagName === tag ? found : null;
}

function focusAt(place) {
  const found = elementAt(place);
  if (found && place.value !== null) {
    found.setAttribute("aria-valuenow", place.value);
  }
  found?.focus({ preventScroll: true });
}

export function keepFocus() {
  let place = null;
  const restore = () => {
    if (place && document.activeElement === document.body) {
      focusAt(place);
    }
  };
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { elt, triggeringEvent } = detail.requestConfig;
    const isInside = triggeringEvent?.type === "live" && elt.contains(document.activeElement);
    place = isInside ? placeOf(document.activeElement) : null;
  });
  document.addEventListener("htmx:afterSwap", restore);
  // What scripts make focusable is so only now.
  document.addEventListener("htmx:afterSettle", () => {
    restore();
    place = null;
  });
}
