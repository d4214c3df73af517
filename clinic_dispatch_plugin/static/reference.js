// Counts the characters of a field while somebody writes; without it the form works the same.

for (const field of document.querySelectorAll(".cd [data-count]")) {
  const most = Number(field.dataset.count);
  const shown = document.createElement("p");
  shown.className = "cd-count";
  shown.setAttribute("aria-hidden", "true");
  field.after(shown);
  const count = () => {
    const length = [...field.value.trim()].length;
    shown.textContent = length > most * 0.7 ? `${length} / ${most}` : "";
    shown.classList.toggle("over", length > most);
  };
  field.addEventListener("input", count);
  count();
}
