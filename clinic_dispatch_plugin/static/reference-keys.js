// Arrows, Enter, Escape, "/" and Ctrl+S; whoever has an aid that presses keys switches them off, and they stay off.
const KEPT = "clinic-dispatch-keys";

export function startKeys(root, list) {
  const box = root.querySelector("[data-keys]");
  const choice = box?.querySelector("[data-keys-on]");
  if (box) {
    box.hidden = false;
    choice.checked = kept() !== "off";
    choice.addEventListener("change", () => keep(choice.checked ? "on" : "off"));
  }
  const isOn = () => !choice || choice.checked;
  document.addEventListener("keydown", (event) => {
    if (!isOn() || event.defaultPrevented || event.isComposing || root.querySelector("dialog[open]")) return;
    const act = chosen(event, list);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function chosen(event, list) {
  const { target, key } = event;
  if ((event.ctrlKey || event.metaKey) && !event.altKey && key.toLowerCase() === "s") {
    return list.unsaved.form() ? () => list.panel.save() : null;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || !list.results) return null;
  const writes = target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]");
  if (key === "/" && !writes) return () => { list.filters.search.focus(); list.filters.search.select(); };
  if (key === "Escape" && list.panel.isOpen() && !(target === list.filters.search && target.value)) {
    return () => list.panel.close();
  }
  const link = target.closest("a[data-open]");
  if (link) return moved(key, list.rows(), list.rows().indexOf(link));
  if (target === list.filters.search && key === "ArrowDown") return moved("Home", list.rows(), 0);
  if (target === document.body && ["ArrowDown", "ArrowUp"].includes(key) && list.panel.isOpen()) {
    const at = list.rows().findIndex((each) => each.getAttribute("aria-current"));
    return at < 0 ? null : moved(key, list.rows(), at);
  }
  return null;
}

function moved(key, rows, at) {
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[key];
  if (to === undefined || !rows[to]) return null;
  return () => rows[to].focus();
}

// A browser may forbid a page to remember anything.
function kept() {
  try { return window.localStorage.getItem(KEPT); } catch { return null; }
}

function keep(value) {
  try { window.localStorage.setItem(KEPT, value); } catch { /* then it holds for this page */ }
}
