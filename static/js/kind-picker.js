/* Choosing a kind: typing narrows the cards, arrows walk over them, Enter in the search takes the first one. */

const picker = document.querySelector("[data-kind-picker]");
const search = picker.querySelector("input[type=search]");
const count = picker.querySelector("[data-kind-count]");
const items = [...picker.querySelectorAll("[data-kind-words]")];

const plain = (text) =>
  text
    .toLowerCase()
    .normalize("NFKD")
    .replace(/\p{Mark}/gu, "");
const words = new Map(items.map((item) => [item, plain(item.dataset.kindWords)]));

const shown = () => items.filter((item) => !item.hidden).map((item) => item.querySelector("a"));

function narrow() {
  const wanted = plain(search.value).split(/\s+/).filter(Boolean);
  for (const item of items) {
    item.hidden = !wanted.every((word) => words.get(item).includes(word));
  }
  for (const group of picker.querySelectorAll("[data-kind-group]")) {
    group.hidden = !group.querySelector("[data-kind-words]:not([hidden])");
  }
  const left = shown().length;
  picker.querySelector("[data-kind-empty]").hidden = left > 0;
  count.textContent = left === 1 ? count.dataset.one : count.dataset.many.replace("#", left);
}

/** The card nearest below or above, in the same column as far as there is one. */
function beside(card, isDown) {
  const from = card.getBoundingClientRect();
  const boxes = shown().map((each) => [each, each.getBoundingClientRect()]);
  const rows = boxes.filter(([, box]) => (isDown ? box.top > from.top + 1 : box.top < from.top - 1));
  const [, edge] = (isDown ? rows[0] : rows.at(-1)) ?? [];
  const row = rows.filter(([, box]) => Math.abs(box.top - edge.top) < 2);
  row.sort(([, one], [, other]) => Math.abs(one.left - from.left) - Math.abs(other.left - from.left));
  return row[0]?.[0];
}

function next(card, key) {
  const cards = shown();
  switch (key) {
    case "ArrowRight":
      return cards[cards.indexOf(card) + 1];
    case "ArrowLeft":
      return cards[cards.indexOf(card) - 1];
    case "Home":
      return cards[0];
    case "End":
      return cards.at(-1);
    case "ArrowDown":
      return beside(card, true);
    case "ArrowUp":
      return beside(card, false) ?? search;
    default:
      return null;
  }
}

search.addEventListener("input", narrow);
search.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "Enter") {
    event.preventDefault();
    const first = shown()[0];
    if (event.key === "Enter" && search.value.trim()) {
      first?.click();
    } else {
      first?.focus();
    }
  }
});
picker.addEventListener("keydown", (event) => {
  const card = event.target.closest(".kind-card");
  const to = card && next(card, event.key);
  if (to) {
    event.preventDefault();
    to.focus();
  }
});

picker.querySelector("[data-kind-search]").hidden = false;
narrow();
search.focus({ preventScroll: true });
