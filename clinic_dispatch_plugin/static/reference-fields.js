// The fields of an entry while somebody writes: characters counted, the note as a list shows it, languages as tabs.
const PARTS = ["short", "what_happened", "what_helps", "tell_patient"];
const MAIN = ["short", "what_happened", "what_helps"];

export function dressFields(root) {
  root.querySelectorAll("[data-count]").forEach(countCharacters);
  root.querySelectorAll("[data-look]").forEach(showAsInList);
  root.querySelectorAll("[data-langs]").forEach(makeTabs);
}

function countCharacters(field) {
  const most = Number(field.dataset.count);
  const always = "always" in field.dataset;
  const shown = document.createElement("p");
  shown.className = "cd-count";
  shown.setAttribute("aria-hidden", "true");
  field.after(shown);
  const count = () => {
    const length = [...field.value.trim()].length;
    shown.textContent = always || length > most * 0.7 ? `${length} / ${most}` : "";
    shown.classList.toggle("over", length > most);
  };
  field.addEventListener("input", count);
  count();
}

function showAsInList(look) {
  const field = document.getElementById(`f-${look.dataset.look}`);
  const said = look.querySelector("[data-said]");
  const show = () => {
    said.textContent = field.value.trim();
    look.hidden = field.value.trim() === "";
  };
  field.addEventListener("input", show);
  show();
}

/** Each language's fold becomes a tab that says whether its texts are missing. */
function makeTabs(box) {
  const folds = [...box.querySelectorAll(":scope > details")];
  const focused = box.contains(document.activeElement) ? document.activeElement : null;
  const bar = document.createElement("div");
  bar.className = "cd-langbar";
  bar.setAttribute("role", "tablist");
  bar.setAttribute("aria-label", box.getAttribute("aria-label"));
  const tabs = folds.map((fold) => makeTab(box, fold));
  const first = tabs.find((tab) => tab.panel.contains(focused))
    ?? tabs.find((tab) => tab.panel.querySelector("[aria-invalid]")) ?? tabs[0];
  const choose = (chosen, focus) => {
    for (const tab of tabs) {
      const on = tab === chosen;
      tab.button.setAttribute("aria-selected", String(on));
      tab.button.tabIndex = on ? 0 : -1;
      tab.panel.hidden = !on;
    }
    if (focus) chosen.button.focus();
  };
  tabs.forEach((tab, place) => {
    bar.append(tab.button);
    tab.button.addEventListener("click", () => choose(tab));
    tab.button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const to = { Home: 0, End: tabs.length - 1 }[event.key] ?? (step && (place + step + tabs.length) % tabs.length);
      if (to === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      choose(tabs[to], true);
    });
    addCopying(box, tab, tabs);
  });
  box.prepend(bar);
  box.removeAttribute("aria-label");
  choose(first);
  focused?.focus(); // a field that moves loses it, and somebody may write already
  // A fault named on top leads to its field, which may stand in another tab.
  box.closest("[data-entry-part], body").addEventListener("click", (event) => {
    const id = event.target.closest?.('a[href^="#f-"]')?.getAttribute("href").slice(1);
    const owner = id && tabs.find((tab) => tab.panel.querySelector(`[id="${id}"]`));
    if (!owner) return;
    event.preventDefault();
    choose(owner);
    document.getElementById(id).focus();
  });
}

function makeTab(box, fold) {
  const code = fold.dataset.lang;
  const panel = document.createElement("div");
  panel.append(...[...fold.childNodes].filter((node) => node.nodeName !== "SUMMARY"));
  panel.id = `cd-lang-${code}`;
  panel.setAttribute("role", "tabpanel");
  const button = document.createElement("button");
  button.type = "button";
  button.id = `cd-tab-${code}`;
  button.setAttribute("role", "tab");
  button.setAttribute("aria-controls", panel.id);
  panel.setAttribute("aria-labelledby", button.id);
  const name = document.createElement("span");
  name.lang = code;
  name.textContent = fold.dataset.name;
  const lacks = document.createElement("span");
  lacks.className = "cd-lacks";
  button.append(name, lacks);
  fold.replaceWith(panel);
  const field = (part) => panel.querySelector(`[name="${part}.${code}"]`);
  const tab = { code, name: fold.dataset.name, button, panel, field };
  const mark = () => {
    const empty = (part) => field(part).value.trim() === "";
    lacks.textContent = empty("short") ? box.dataset.missing : MAIN.some(empty) ? box.dataset.partly : "";
  };
  panel.addEventListener("input", mark);
  mark();
  return tab;
}

/** Another language's texts as a start: only empty fields are filled, so nothing that was written is lost. */
function addCopying(box, tab, tabs) {
  const line = document.createElement("p");
  line.className = "cd-copy";
  line.append(`${box.dataset.copy} `);
  const buttons = tabs.filter((other) => other !== tab).map((other) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "cd-btn";
    button.lang = other.code;
    button.textContent = other.name;
    button.addEventListener("click", () => {
      const gaps = PARTS.filter((part) => fills(other, tab, part));
      for (const part of gaps) {
        tab.field(part).value = other.field(part).value;
        tab.field(part).dispatchEvent(new Event("input", { bubbles: true }));
      }
      if (gaps.length) tab.field(gaps[0]).focus();
    });
    line.append(button, " ");
    return { button, other };
  });
  const update = () => {
    for (const { button, other } of buttons) button.hidden = !MAIN.some((part) => fills(other, tab, part));
    line.hidden = buttons.every(({ button }) => button.hidden);
  };
  tab.panel.prepend(line);
  box.addEventListener("input", update);
  update();
}

function fills(from, to, part) {
  return to.field(part).value.trim() === "" && from.field(part).value.trim() !== "";
}
