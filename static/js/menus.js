/* Menus are <details>; this closes them outside, on Escape and on choice, and lets arrows move inside. */

const open = () => document.querySelectorAll("details[data-menu][open]");

function close(menu, { focus = false } = {}) {
  menu.open = false;
  if (focus) {
    menu.querySelector("summary").focus();
  }
}

function step(menu, direction) {
  const items = [...menu.querySelectorAll(".menu__item")];
  const here = items.indexOf(document.activeElement);
  items[(here + direction + items.length) % items.length]?.focus();
}

function onKey(event) {
  const menu = event.target.closest?.("details[data-menu]");
  if (event.key === "Escape") {
    open().forEach((each) => close(each, { focus: each === menu }));
  } else if (menu && (event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.type !== "radio") {
    event.preventDefault();
    menu.open = true;
    step(menu, event.key === "ArrowDown" ? 1 : -1);
  }
}

/** Keep a panel inside the window when its button stands near an edge. */
function place(menu) {
  const panel = menu.querySelector(".menu__panel");
  panel.style.translate = "";
  const box = panel.getBoundingClientRect();
  const shift = Math.max(8 - box.left, 0) || Math.min(window.innerWidth - 8 - box.right, 0);
  panel.style.translate = shift ? `${shift}px 0` : "";
}

export function wireMenus() {
  document.addEventListener("click", (event) => {
    open().forEach((menu) => {
      if (!menu.contains(event.target) || event.target.closest("a.menu__item, button.menu__item")) {
        close(menu);
      }
    });
  });
  document.addEventListener("keydown", onKey);
  document.addEventListener("focusin", (event) => {
    open().forEach((menu) => menu.contains(event.target) || close(menu));
  });
  document.addEventListener(
    "toggle",
    (event) => event.target.matches?.("details[data-menu][open]") && place(event.target),
    { capture: true },
  );
}
