// Filtering while somebody types or chooses; the address says what is shown.
import { part } from "./reference-list.js";

const PAUSE = 200;

export function startFilters(context) {
  const { root, results, announce } = context;
  const form = root.querySelector("[data-filters]");
  const reset = form.querySelector("[data-reset]");
  const plain = form.getAttribute("action");
  let timer = 0;
  let running = null;

  /** The address of what the fields say. */
  function wanted() {
    const said = [...new FormData(form)].filter(([, value]) => value.trim() !== "");
    return new URLSearchParams(said.map(([name, value]) => [name, value.trim()]));
  }

  /** The list's part of an address: without the entry that is open. */
  function listed(address) {
    const url = new URL(address, window.location.href);
    url.searchParams.delete("entry");
    url.searchParams.delete("said");
    url.hash = "";
    return url;
  }

  let shown = listed(window.location.href).search;

  function withEntry(query) {
    const url = new URL(plain, window.location.href);
    url.search = query;
    const open = context.panel?.isOpen() || 0;
    if (open) url.searchParams.set("entry", open);
    return url;
  }

  async function load(query, { push = false, keep = false } = {}) {
    clearTimeout(timer);
    running?.abort();
    running = new AbortController();
    const mine = running;
    const url = new URL(plain, window.location.href);
    url.search = query;
    let answer;
    let text;
    try {
      answer = await part(url, "list", { signal: mine.signal });
      text = answer?.ok ? await answer.text() : null;
    } catch {
      return; // typed on meanwhile
    }
    if (text === null || !text.includes("data-found")) {
      window.location.assign(url);
      return;
    }
    results.innerHTML = text;
    shown = url.search;
    if (!keep) window.history[push ? "pushState" : "replaceState"](null, "", withEntry(shown));
    reset.hidden = shown === "";
    context.panel?.mark();
    announce(results.querySelector("[data-found]").textContent);
  }

  /** The fields say what the address says. */
  function fill(query) {
    const said = new URLSearchParams(query);
    for (const field of form.elements) {
      if (field.name) field.value = said.get(field.name) ?? "";
    }
  }

  form.addEventListener("input", (event) => {
    if (event.target.tagName === "SELECT") return;
    clearTimeout(timer);
    timer = setTimeout(() => load(wanted().toString()), PAUSE);
  });
  form.addEventListener("change", (event) => {
    if (event.target.tagName === "SELECT") load(wanted().toString(), { push: true });
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    load(wanted().toString());
  });
  reset.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    fill("");
    load("", { push: true });
    form.querySelector('[name="q"]').focus();
  });
  results.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-load]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const url = listed(link.href);
    fill(url.search);
    await load(url.search, { push: true });
    context.rows()[0]?.focus();
    results.scrollIntoView({ block: "start" });
  });

  return {
    search: form.querySelector('[name="q"]'),
    /** After Back or Forward: the list of this address. */
    async follow() {
      const { search } = listed(window.location.href);
      if (search === shown) return;
      fill(search);
      await load(search, { keep: true });
    },
    /** The address of the list as it is shown, with an entry or without. */
    address(entry) {
      const url = new URL(plain, window.location.href);
      url.search = shown;
      if (entry) url.searchParams.set("entry", entry);
      return url;
    },
  };
}
