// The list and the entry beside it: both stand in the address, so Back, Forward, a reload and a link show the same.
import { startFilters } from "./reference-filters.js";
import { startPanel } from "./reference-panel.js";

/** Asks for a part of a page; null where it did not come. */
export async function part(address, name, options = {}) {
  try {
    return await fetch(address, {
      credentials: "same-origin", ...options, headers: { "X-Dispatch-Part": name },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    return null;
  }
}

export function startList(root, unsaved) {
  const results = root.querySelector("[data-results]");
  if (!results) return startPage(root, unsaved);
  const announced = root.querySelector("[data-announce]");
  const announce = (text) => {
    announced.textContent = "";
    requestAnimationFrame(() => { announced.textContent = text; });
  };
  const rows = () => [...results.querySelectorAll("a[data-open]")];
  const context = { root, results, unsaved, announce, rows };
  context.filters = startFilters(context);
  context.panel = startPanel(context);
  window.addEventListener("popstate", () => context.panel.follow());
  return context;
}

/** An entry on a page of its own has no list; saving is the browser's. */
function startPage(root, unsaved) {
  return { root, unsaved, rows: () => [], panel: { isOpen: () => false, save: () => unsaved.form()?.requestSubmit() } };
}
