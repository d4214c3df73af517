// The three steps work without this script; it spares typing, keeps what was typed and shows the message at once.

/** A group's usual purpose is proposed until somebody chooses another one. */
function proposePurpose(form) {
  const purpose = form.querySelector("#f-purpose");
  let chosen = purpose.value !== "";
  purpose.addEventListener("change", () => { chosen = true; });
  form.addEventListener("change", (event) => {
    const radio = event.target;
    if (radio.name !== "whom" || chosen) return;
    purpose.value = radio.dataset.purpose ?? "";
  });
  const file = form.querySelector('input[type="file"]');
  file.addEventListener("change", () => {
    if (file.files.length) form.querySelector('input[value="file"]').checked = true;
  });
}

/** Placeholders become buttons that write their name where the cursor was last. */
function insertPlaceholders(chips) {
  let field = document.querySelector("#f-text");
  for (const each of document.querySelectorAll("[data-text]")) {
    each.addEventListener("focus", () => { field = each; });
  }
  for (const chip of chips.querySelectorAll("[data-insert]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "cd-chip";
    button.textContent = chip.textContent;
    button.title = chips.dataset.title;
    button.addEventListener("click", () => {
      field.setRangeText(chip.dataset.insert, field.selectionStart, field.selectionEnd, "end");
      field.dispatchEvent(new Event("input", { bubbles: true }));
      field.focus();
    });
    chip.replaceWith(button);
  }
}

/** What is typed is kept after a short pause, and shown as a recipient would get it. */
function showLive(form) {
  const preview = document.querySelector("[data-preview]");
  const saved = form.querySelector("[data-saved]");
  let timer = 0;
  let turn = 0;
  async function keep() {
    const mine = ++turn;
    const response = await fetch(form.dataset.live, {
      method: "POST", body: new FormData(form), headers: { Accept: "application/json" },
    }).catch(() => null);
    if (!response?.ok || mine !== turn) return;
    const found = await response.json();
    if (mine !== turn) return;
    preview.innerHTML = found.html;
    saved.textContent = found.said;
    for (const field of form.querySelectorAll("[data-text]")) showFault(field, found.errors[field.name]);
  }
  form.addEventListener("input", () => {
    saved.textContent = "";
    clearTimeout(timer);
    timer = setTimeout(keep, 800);
  });
  form.addEventListener("submit", () => { clearTimeout(timer); turn += 1; });
}

/** A fault stands beside its field while it lasts; an empty field is no fault while one writes. */
function showFault(field, text) {
  const box = field.closest(".cd-field");
  const id = `e-${field.name}`;
  let note = box.querySelector(`#${CSS.escape(id)}`);
  const wrong = Boolean(text) && field.value.trim() !== "";
  box.classList.toggle("has-fault", wrong);
  if (!wrong) {
    note?.remove();
    field.removeAttribute("aria-invalid");
    return;
  }
  if (!note) {
    note = document.createElement("p");
    note.id = id;
    note.className = "cd-fault";
    field.before(note);
  }
  note.textContent = `✕ ${text}`;
  field.setAttribute("aria-invalid", "true");
  const hint = box.querySelector(".cd-hint") ? `h-${field.name} ` : "";
  field.setAttribute("aria-describedby", hint + id);
}

/** Sending is asked for once, however often the button is pressed. */
function sendOnce(form) {
  let gone = false;
  form.addEventListener("submit", (event) => {
    if (gone) event.preventDefault();
    gone = true;
  });
  window.addEventListener("pageshow", () => { gone = false; });
}

/** A page that is not ready yet comes again by itself. */
function comeAgain(box) {
  setTimeout(() => window.location.replace(box.dataset.comeAgain), 1000);
}

document.querySelectorAll("[data-come-again]").forEach(comeAgain);
document.querySelectorAll("[data-whom]").forEach(proposePurpose);
document.querySelectorAll("[data-chips]").forEach(insertPlaceholders);
document.querySelectorAll("[data-live]").forEach(showLive);
document.querySelectorAll("[data-once]").forEach(sendOnce);
document.querySelector("#cd-faults")?.focus();
