// What was typed and not saved: known, kept, and asked about before it would be lost.

/** Gives the form that has unsaved changes, and asks what is to happen with them. */
export function keepUnsaved(root) {
  const shown = new WeakMap();
  const form = () => root.querySelector("form[data-entry-form]");
  const state = (of) => new URLSearchParams(new FormData(of)).toString();
  let leaving = false;
  const api = {
    form,
    /** What the form holds now is what is saved, unless it came back: with faults, or with what somebody typed before. */
    begin(faults = false) {
      if (form()) shown.set(form(), faults || form().dataset.entryForm ? null : state(form()));
    },
    changed() {
      return Boolean(form()) && shown.has(form()) && shown.get(form()) !== state(form());
    },
    leave() { leaving = true; },
    /** "save", "drop" or "stay". */
    ask() {
      const dialog = root.querySelector("[data-ask]");
      return new Promise((resolve) => {
        dialog.returnValue = "stay";
        dialog.addEventListener("close", () => resolve(dialog.returnValue || "stay"), { once: true });
        dialog.showModal();
      });
    },
  };
  api.begin(Boolean(root.querySelector("#cd-faults")));
  window.addEventListener("pageshow", () => { leaving = false; });
  window.addEventListener("beforeunload", (event) => {
    if (api.changed() && !leaving) event.preventDefault();
  });
  // Outside the panel, and for every other form, the browser sends the page as it is.
  document.addEventListener("submit", (event) => { if (!event.defaultPrevented) leaving = true; });
  return api;
}
