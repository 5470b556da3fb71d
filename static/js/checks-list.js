/* The list of checks: choose rows, also over live swaps, a range with Shift, or all that match; leave a rename by Escape;
   fetch the next rows before the end comes into sight. */

const AHEAD_PX = 800;

const chosen = new Set();
let isEverything = false;
let last = null;

const list = () => document.getElementById("checks");
const boxes = () => [...list().querySelectorAll("[data-select]")];

function show() {
  const bulk = list().querySelector("[data-bulk]");
  if (!bulk) {
    return;
  }
  const all = boxes();
  all.forEach((box) => (box.checked = isEverything || chosen.has(box.value)));
  const checked = all.filter((box) => box.checked).length;
  const page = list().querySelector("[data-select-page]");
  page.checked = checked > 0 && checked === all.length;
  page.indeterminate = checked > 0 && checked < all.length;
  bulk.hidden = checked === 0;
  bulk.querySelector("[data-everything]").value = isEverything ? "on" : "";
  const count = bulk.querySelector("[data-count]");
  const words = checked === 1 ? count.dataset.one : count.dataset.many.replace("#", checked);
  count.textContent = isEverything ? count.dataset.all : words;
  const more = bulk.querySelector("[data-select-everything]");
  if (more) {
    more.hidden = isEverything || !page.checked;
  }
}

function choose(some, isChosen) {
  isEverything = false;
  some.forEach((box) => (isChosen ? chosen.add(box.value) : chosen.delete(box.value)));
  show();
}

/** From the box pressed before to this one. */
function range(box) {
  const all = boxes();
  const from = all.findIndex((each) => each.value === last);
  const to = all.indexOf(box);
  return from < 0 ? [box] : all.slice(Math.min(from, to), Math.max(from, to) + 1);
}

document.addEventListener("click", (event) => {
  const box = event.target.closest?.("[data-select]");
  if (box) {
    choose(event.shiftKey ? range(box) : [box], box.checked);
    last = box.value;
  } else if (event.target.matches?.("[data-select-page]")) {
    choose(boxes(), event.target.checked);
  } else if (event.target.closest?.("[data-select-everything]")) {
    isEverything = true;
    show();
  } else if (event.target.closest?.("[data-select-none]")) {
    chosen.clear();
    choose([], false);
    boxes()[0]?.focus();
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    event.target.closest?.("[data-rename]")?.querySelector("[data-rename-cancel]").click();
  }
  // Enter in the field of tags adds them; the form's first button would pause.
  if (event.key === "Enter" && event.target.matches?.("[data-tags], [data-select]")) {
    event.preventDefault();
    if (event.target.matches("[data-tags]")) {
      list().querySelector("[data-bulk] [value=tag]").click();
    }
  }
});

const near = new IntersectionObserver(
  (entries) => entries.forEach(({ isIntersecting, target }) => isIntersecting && htmx.trigger(target, "near")),
  { rootMargin: `${AHEAD_PX}px` },
);

function watchEnd() {
  near.disconnect();
  list().querySelectorAll("[data-more]").forEach((row) => near.observe(row));
}

// A list that has grown is fetched again as long as it is.
document.addEventListener("htmx:configRequest", ({ detail }) => {
  if (detail.elt.id === "checks") {
    detail.parameters.upto = document.getElementById("checks-pager")?.dataset.pages ?? "";
  }
});

let renamed = "";

/** The field of a new name has the focus at once; where its row comes back, the pencil has it again. */
function followRename(row) {
  const field = row.querySelector("[data-rename] input");
  if (field) {
    renamed = row.id;
    field.focus();
    field.select();
  } else if (row.id === renamed) {
    renamed = "";
    row.querySelector(".row-tools button").focus();
  }
}

document.addEventListener("htmx:load", ({ detail }) => {
  const row = detail.elt.closest?.("tr[id^=check-]");
  if (row) {
    followRename(row);
  }
  if (detail.elt.closest?.("#checks")) {
    show();
    watchEnd();
  }
});
// Another page or another filter: what is out of sight is not chosen any more.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.requestConfig.elt.matches?.(".filters")) {
    chosen.clear();
    isEverything = false;
    show();
  }
});
window.addEventListener("pageshow", show);
show();
watchEnd();
