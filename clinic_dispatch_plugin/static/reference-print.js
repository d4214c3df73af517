// A button that opens the browser's own window for printing; without it Ctrl+P does the same.

for (const place of document.querySelectorAll(".cd [data-print]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "cd-btn p";
  button.textContent = place.dataset.print;
  button.addEventListener("click", () => window.print());
  place.replaceWith(button);
}
