/* Whoever walks through a page by keyboard keeps their place when a live part of it comes anew. */

/** Where an element stands: below the nearest one with an id, the how-maniest child of the how-maniest … */
function placeOf(element) {
  const steps = [];
  let up = element;
  while (!up.id && up.parentElement) {
    steps.unshift([...up.parentElement.children].indexOf(up));
    up = up.parentElement;
  }
  return { id: up.id, steps, tag: element.tagName };
}

function elementAt({ id, steps, tag }) {
  const found = steps.reduce((up, step) => up?.children[step], document.getElementById(id));
  return found?.tagName === tag ? found : null;
}

export function keepFocus() {
  let place = null;
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { elt, triggeringEvent } = detail.requestConfig;
    const isInside = triggeringEvent?.type === "live" && elt.contains(document.activeElement);
    place = isInside ? placeOf(document.activeElement) : null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (place && document.activeElement === document.body) {
      elementAt(place)?.focus({ preventScroll: true });
    }
    place = null;
  });
}
