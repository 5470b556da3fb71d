/* The small bar of one result: five parts as wide as their milliseconds. */

export function wirePhases(root) {
  for (const bar of root.querySelectorAll("[data-phases]")) {
    const parts = bar.dataset.phases.split(",").map(Number);
    bar.replaceChildren(
      ...parts.flatMap((ms, index) => {
        if (!ms) {
          return [];
        }
        const part = document.createElement("span");
        part.className = `phases__part phases__part--${index + 1}`;
        part.style.flexGrow = String(ms);
        return [part];
      }),
    );
  }
}
