// Correcting an address in its row: the row is replaced, a fault stands beside the field, the focus stays where it was.
export function correctInPlace(root, announce) {
  root.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-correct]");
    const row = form && form.closest("tr");
    if (!row) return; // outside a list the form is sent as it is
    event.preventDefault();
    send(form, row, announce);
  });
}

async function send(form, row, announce) {
  const button = form.querySelector("button");
  if (button.disabled) return;
  button.disabled = true;
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      body: new FormData(form),
      headers: { Accept: "application/json" },
      credentials: "same-origin",
    });
    const type = answer.headers.get("Content-Type") || "";
    if (!type.includes("json")) throw new Error("not for this script");
    const said = await answer.json();
    if (said.fault) fault(form, said.fault);
    else replace(row, said, announce);
  } catch {
    form.removeAttribute("data-correct");
    HTMLFormElement.prototype.submit.call(form); // the ordinary way shows what is wrong
  } finally {
    button.disabled = false;
  }
}

function fault(form, text) {
  const field = form.querySelector('input[name="address"]');
  field.setAttribute("aria-invalid", "true");
  form.querySelector(".cd-fault").textContent = `✕ ${text}`;
  field.focus();
}

function replace(row, said, announce) {
  const next = following(row);
  const held = document.createElement("template");
  held.innerHTML = said.html.trim();
  const fresh = held.content.firstElementChild;
  fresh.classList.add("cd-new-row");
  row.replaceWith(fresh);
  announce(said.said);
  (next || fresh.querySelector("[data-status]")).focus();
}

// The next address to correct, when a whole list of them is open.
function following(row) {
  for (let each = row.nextElementSibling; each; each = each.nextElementSibling) {
    const field = each.querySelector("details[open] form[data-correct] input[name='address']");
    if (field) return field;
  }
  return null;
}
