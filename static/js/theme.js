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

  function remembered() {
    let choice = null;
    try {
      choice = window.localStorage.getItem("obsera.theme");
    } catch {
      // Storage may be blocked; the cookie or the default answers then.
    }
    if (CHOICES.includes(choice)) {
      return choice;
    }
    const cookie = document.cookie.match(/(?:^|; )obsera_theme=([a-z]+)\./);
    const seen = cookie && CHOICES.includes(cookie[1]) ? cookie[1] : "system";
    // A page for everybody may bring a default of its own for visitors who never chose.
    return seen === "system" ? root.dataset.themeDefault || seen : seen;
  }

  function apply(choice, isChosen = false) {
    const dark = choice === "dark" || (choice !== "light" && prefersDark.matches);
    const more = choice === "contrast" || (choice === "system" && prefersMore.matches);
    root.dataset.bsTheme = dark ? "dark" : "light";
    root.dataset.themeChoice = choice;
    if (more) {
      root.dataset.contrast = "more";
    } else {
      delete root.dataset.contrast;
    }
    if (isChosen || !root.dataset.themeDefault) {
      const secure = window.location.protocol === "https:" ? "; Secure" : "";
      const seen = (more ? "contrast" : choice) + "." + (dark ? "dark" : "light");
      document.cookie = "obsera_theme=" + seen + "; Path=/; Max-Age=31536000; SameSite=Lax" + secure;
    }
    document.dispatchEvent(new CustomEvent("theme:changed", { detail: { choice } }));
  }

  function choose(choice) {
    try {
      window.localStorage.setItem("obsera.theme", choice);
    } catch {
      // The cookie remembers it as well.
    }
    apply(choice, true);
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
