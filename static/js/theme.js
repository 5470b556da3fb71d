/*
 * Runs before the first paint (a plain, blocking script): turns the remembered choice into the attributes that
 * tokens.css reads, so that no page flashes in the wrong colours. The cookie lets the server render them next time.
 */
(function () {
  "use strict";

  const CHOICES = ["system", "light", "dark", "contrast"];
  const root = document.documentElement;
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const prefersMore = window.matchMedia("(prefers-contrast: more)");

  // What the visitor chose on this device; null before that.
  function chosen() {
    let choice = null;
    try {
      choice = window.localStorage.getItem("obsera.theme");
    } catch {
      // Storage may be blocked; the cookie or the default answers then.
    }
    const cookie = document.cookie.match(/(?:^|; )obsera_theme=([a-z]+)\./);
    choice = choice || (cookie && cookie[1]);
    return CHOICES.includes(choice) ? choice : null;
  }

  // A page for everybody may bring a default of its own; it is not remembered as the visitor's choice.
  function remembered() {
    const fallback = root.dataset.themeDefault;
    const choice = chosen();
    return (choice === "system" && fallback && !window.localStorage?.getItem("obsera.theme") ? fallback : choice) || fallback || "system";
  }

  function apply(choice) {
    const dark = choice === "dark" || (choice !== "light" && prefersDark.matches);
    const more = choice === "contrast" || (choice === "system" && prefersMore.matches);
    root.dataset.bsTheme = dark ? "dark" : "light";
    root.dataset.themeChoice = choice;
    if (more) {
      root.dataset.contrast = "more";
    } else {
      delete root.dataset.contrast;
    }
    const secure = window.location.protocol === "https:" ? "; Secure" : "";
    const seen = (more ? "contrast" : choice) + "." + (dark ? "dark" : "light");
    document.cookie = "obsera_theme=" + seen + "; Path=/; Max-Age=31536000; SameSite=Lax" + secure;
    document.dispatchEvent(new CustomEvent("theme:changed", { detail: { choice } }));
  }

  function choose(choice) {
    try {
      window.localStorage.setItem("obsera.theme", choice);
    } catch {
      // The cookie remembers it as well.
    }
    apply(choice);
  }

  apply(remembered());
  prefersDark.addEventListener("change", () => apply(remembered()));
  prefersMore.addEventListener("change", () => apply(remembered()));
  window.addEventListener("storage", (event) => {
    if (event.key === "obsera.theme") {
      apply(remembered());
    }
  });
  window.obseraTheme = { choose, current: remembered };
})();
