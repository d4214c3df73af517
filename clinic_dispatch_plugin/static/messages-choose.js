// Ticking all rows of a page, and how many are ticked.
export function chooseRows(root) {
  const table = root.querySelector("[data-messages]");
  const bulk = root.querySelector("[data-bulk]");
  if (!table || !bulk) return;
  const all = table.querySelector("[data-choose-all]");
  const shown = bulk.querySelector("[data-chosen]");
  const boxes = () => [...table.querySelectorAll('input[name="ids"]')];
  const update = () => {
    const ticked = boxes().filter((box) => box.checked).length;
    shown.textContent = ticked ? String(ticked) : "";
    if (!all) return;
    all.checked = ticked > 0 && ticked === boxes().length;
    all.indeterminate = ticked > 0 && ticked < boxes().length;
  };
  if (all) {
    all.hidden = false;
    all.addEventListener("change", () => {
      boxes().forEach((box) => { box.checked = all.checked; });
      update();
    });
  }
  table.addEventListener("change", (event) => {
    if (event.target.name === "ids") update();
  });
  new MutationObserver(update).observe(table, { childList: true, subtree: true });
  update();
}
