/* The tab itself says when something is down: an element with data-favicon-state="down" anywhere on the page. */

export function wireFavicon() {
  const link = document.querySelector("link[data-favicon]");
  if (!link?.dataset.down) {
    return;
  }
  link.dataset.calm ??= link.href;
  const href = document.querySelector('[data-favicon-state="down"]') ? link.dataset.down : link.dataset.calm;
  if (link.href !== href) {
    link.href = href;
  }
}
