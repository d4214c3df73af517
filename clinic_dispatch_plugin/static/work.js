// Shows how sending goes, again and again; what somebody reads or has the keyboard on is left alone.

const FIRST = 3000;
const SLOWEST = 15000;

const box = document.querySelector("[data-work]");
let pause = FIRST;
let before = "";

async function look() {
  const response = document.hidden ? null : await fetch(box.dataset.work, { headers: { Accept: "application/json" } }).catch(() => null);
  if (response?.status === 401 || response?.status === 403) {
    window.location.reload();
    return;
  }
  const found = response?.ok ? await response.json().catch(() => null) : null;
  const busy = box.contains(document.activeElement) || String(window.getSelection()) !== "";
  if (found && found.html !== before && !busy) {
    box.innerHTML = found.html;
    before = found.html;
  }
  pause = Math.min(SLOWEST, pause * 1.1);
  setTimeout(look, pause);
}

setTimeout(look, FIRST);
