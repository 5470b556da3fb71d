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

/** What an element's answer replaces: itself, and what it names beside itself ("#one,#two:innerHTML"). */
function partsOf(element) {
  const named = element.getAttribute("hx-select-oob")?.split(",") ?? [];
  return [element, ...named.map((each) => document.querySelector(each.split(":")[0]))];
}

export function keepFocus() {
  // Answers may settle in turns: each brings back only the place that it took.
  let kept = null;
  const isMine = ({ detail }) => kept !== null && kept.xhr === detail.xhr; // going back swaps without a request
  const restore = (event) => {
    if (isMine(event) && document.activeElement === document.body) {
      focusAt(kept.place);
    }
  };
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    const { elt, triggeringEvent } = detail.requestConfig;
    if (triggeringEvent?.type === "live" && partsOf(elt).some((part) => part?.contains(document.activeElement))) {
      kept = { xhr: detail.xhr, place: placeOf(document.activeElement) };
    }
  });
  document.addEventListener("htmx:afterSwap", restore);
  // What scripts make focusable is so only now.
  document.addEventListener("htmx:afterSettle", (event) => {
    restore(event);
    if (isMine(event)) {
      kept = null;
    }
  });
}
