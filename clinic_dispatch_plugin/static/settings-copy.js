// A button that copies an address; without it the address is marked and copied by hand.

for (const place of document.querySelectorAll(".cd [data-copy]")) {
  const field = place.querySelector("input");
  field.addEventListener("focus", () => field.select());
  const button = document.createElement("button");
  button.type = "button";
  button.className = "cd-btn";
  button.textContent = place.dataset.copy;
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      document.execCommand("copy");
    }
    button.textContent = place.dataset.copied;
  });
  place.append(button);
}
