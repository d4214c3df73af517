// The editor beside the list: opens, saves and closes there, and never drops what was typed without asking.
import { dressFields } from "./reference-fields.js";
import { part } from "./reference-list.js";

export function startPanel(context) {
  const { root, results, unsaved, announce } = context;
  const panel = root.querySelector("[data-panel]");
  const beside = root.querySelector("[data-beside]");
  const now = () => Number(panel.querySelector("[data-entry-part]")?.dataset.entryPart || 0);
  const isOpen = () => (panel.hidden ? 0 : now());
  const rowLink = (entry) => results.querySelector(`a[data-open="${entry}"]`);
  const narrow = () => window.matchMedia("(max-width: 900px)").matches;

  /** The chosen row looks so, and says so. */
  function mark() {
    for (const row of results.querySelectorAll("tr.sel")) {
      row.classList.remove("sel");
      row.querySelector("a[data-open]").removeAttribute("aria-current");
    }
    const link = isOpen() && rowLink(isOpen());
    if (!link) return;
    link.closest("tr").classList.add("sel");
    link.setAttribute("aria-current", "true");
  }

  /** True where nothing is unsaved any more. */
  async function settled() {
    if (!isOpen() || !unsaved.changed()) return true;
    const answer = await unsaved.ask();
    if (answer === "save") return save();
    if (answer === "stay") unsaved.form().querySelector("input:not([type=hidden]), textarea").focus();
    return answer === "drop";
  }

  function show(html, { faults = false } = {}) {
    panel.innerHTML = html;
    panel.hidden = false;
    beside.classList.add("cd-open");
    panel.scrollTop = 0;
    dressFields(panel);
    unsaved.begin(faults);
    mark();
  }

  function focusTitle() {
    panel.querySelector(".cd-part-title").focus({ preventScroll: true });
    if (narrow()) panel.scrollIntoView({ block: "start" });
  }

  async function open(entry, href, { push = true } = {}) {
    if (entry === isOpen()) return focusTitle();
    if (!(await settled())) return undefined;
    const answer = await part(href, "entry");
    const text = answer?.ok ? await answer.text() : "";
    if (!text.includes("data-entry-part")) {
      unsaved.leave();
      window.location.assign(href);
      return undefined;
    }
    show(text);
    if (push) window.history.pushState(null, "", context.filters.address(entry));
    return focusTitle();
  }

  function hide() {
    const entry = now();
    panel.hidden = true;
    panel.textContent = "";
    beside.classList.remove("cd-open");
    mark();
    return entry;
  }

  async function close() {
    if (!isOpen() || !(await settled())) return;
    const entry = hide();
    window.history.pushState(null, "", context.filters.address(0));
    (rowLink(entry) ?? context.filters.search).focus();
  }

  async function save() {
    const form = unsaved.form();
    return form ? send(form) : false;
  }

  /** Another form of the panel, such as taking back, would drop what stands unsaved in the entry's: asked first. */
  async function submit(form) {
    if (form === unsaved.form() || !isOpen() || !unsaved.changed()) return send(form);
    const answer = await unsaved.ask();
    if (answer === "save") return save();
    return answer === "drop" && send(form);
  }

  /** Sends a form of the panel; true where it was done. */
  async function send(form) {
    const buttons = [...form.querySelectorAll("button")];
    if (buttons.some((button) => button.disabled)) return false;
    const data = new FormData(form);
    buttons.forEach((button) => { button.disabled = true; });
    const answer = await part(form.action, "entry", { method: "POST", body: data });
    const text = answer ? await answer.text() : "";
    buttons.forEach((button) => { button.disabled = false; });
    if (text.includes("data-entry-part")) return replace(text, answer.ok);
    if (answer?.redirected && answer.ok) {
      unsaved.leave();
      window.location.assign(answer.url);
    } else if (answer?.ok || answer?.status === 422 || answer?.status === 409) {
      // A page that asks something first: nothing was done yet, so the browser may send the form and show it.
      unsaved.leave();
      HTMLFormElement.prototype.submit.call(form);
    } else {
      fail(form);
    }
    return false;
  }

  function replace(text, done) {
    show(text, { faults: !done });
    const row = panel.querySelector("template[data-row]")?.content.querySelector("tr");
    const old = row && results.querySelector(`tr[id="${row.id}"]`);
    if (done && old) old.replaceWith(row.cloneNode(true));
    mark();
    const said = panel.querySelector('[role="status"], [role="alert"]');
    if (done) {
      announce(said?.textContent.trim() ?? "");
      focusTitle();
    } else {
      (panel.querySelector("#cd-faults") ?? panel.querySelector(".cd-part-title")).focus();
    }
    return done;
  }

  function fail(form) {
    let line = form.querySelector("[data-fail]");
    if (!line) {
      line = document.createElement("p");
      line.className = "cd-fault";
      line.dataset.fail = "";
      line.setAttribute("role", "alert");
      form.append(line);
    }
    line.textContent = `✕ ${panel.dataset.failed}`;
    line.scrollIntoView({ block: "nearest" });
  }

  results.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-open]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    open(Number(link.dataset.open), link.href);
  });
  panel.addEventListener("click", (event) => {
    if (!event.target.closest("[data-close]")) return;
    event.preventDefault();
    close();
  });
  panel.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    event.preventDefault();
    submit(event.target);
  });

  /** After Back or Forward: the list and the entry of this address, unless somebody wants to stay. */
  async function follow() {
    const wanted = Number(new URL(window.location.href).searchParams.get("entry") || 0);
    const before = isOpen();
    if (wanted !== before && !(await settled())) {
      window.history.pushState(null, "", context.filters.address(before));
      return;
    }
    await context.filters.follow();
    if (wanted && wanted !== isOpen()) {
      const base = context.filters.address(0);
      await open(wanted, `${base.pathname}/${wanted}${base.search}`, { push: false });
    } else if (!wanted && before) {
      hide();
      (rowLink(before) ?? context.filters.search).focus();
    }
  }

  mark();
  if (isOpen() && narrow()) focusTitle();
  return { isOpen, open, close, save, mark, follow };
}
