/* The visible switch for what theme.js decided before the first paint. */

export function wireThemeSwitches(root) {
  for (const group of root.querySelectorAll("[data-theme-switch]")) {
    // Several switches may be on one page; a shared name would let one steal the other's mark.
    const name = `theme-${Math.random().toString(36).slice(2)}`;
    const radios = [...group.querySelectorAll('input[type="radio"]')];
    const show = () => radios.forEach((radio) => (radio.checked = radio.value === window.obseraTheme.current()));
    radios.forEach((radio) => {
      radio.name = name;
      radio.addEventListener("change", () => window.obseraTheme.choose(radio.value));
    });
    document.addEventListener("theme:changed", show);
    show();
  }
}
