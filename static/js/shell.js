/* The frame: the sidebar's width is remembered, on phones it is a drawer that keeps the focus. */

const root = document.documentElement;
const drawer = window.matchMedia("(max-width: 60rem)");

function remember(collapsed) {
  const secure = window.location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `obsera_sidebar=${collapsed ? "collapsed" : "wide"}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

function setDrawer(isOpen) {
  if (isOpen) {
    root.dataset.nav = "open";
  } else {
    delete root.dataset.nav;
  }
  document.querySelector("[data-shell-main]").inert = isOpen;
  const opener = document.querySelector("[data-nav-open]");
  opener.setAttribute("aria-expanded", String(isOpen));
  if (isOpen) {
    document.querySelector("[data-sidebar-panel] a, [data-sidebar-panel] summary").focus();
  } else if (drawer.matches) {
    opener.focus();
  }
}

function setCollapsed(collapsed) {
  if (collapsed) {
    root.dataset.sidebar = "collapsed";
  } else {
    delete root.dataset.sidebar;
  }
  remember(collapsed);
}

export function wireShell() {
  if (!document.querySelector("[data-sidebar-panel]")) {
    return;
  }
  const toggle = document.querySelector("[data-sidebar-toggle]");
  const show = () => toggle.setAttribute("aria-expanded", String(root.dataset.sidebar !== "collapsed"));
  toggle.addEventListener("click", () => {
    setCollapsed(root.dataset.sidebar !== "collapsed");
    show();
  });
  show();
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-nav-open]")) {
      setDrawer(true);
    } else if (event.target.closest("[data-nav-close]")) {
      setDrawer(false);
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && root.dataset.nav === "open") {
      setDrawer(false);
    }
  });
  drawer.addEventListener("change", () => root.dataset.nav === "open" && setDrawer(false));
}
