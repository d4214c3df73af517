// Counts while a mailing goes out, then opens its list of messages. Without this script the page comes again by itself:
// its address has a refresh header, which no script can take back. So the script first asks for the page without one.

const FIRST = 1000;
const SLOWEST = 5000;
const SPOKEN_EVERY = 10000;
// So many looks at the first pace: what is short is seen live, what is long asks the host's server less.
const BRISK = 20;

const box = document.querySelector("[data-progress]");
const part = box.querySelector("[data-part]");
const said = box.querySelector("[data-said]");
let pause = FIRST;
let looks = 0;
let before = "";
let spokenAt = 0;

function again() {
  window.location.replace(`${box.dataset.again}?live=1`);
}

async function look() {
  const response = await fetch(box.dataset.progress, { headers: { Accept: "application/json" } }).catch(() => null);
  if (response?.status === 401 || response?.status === 403 || response?.status === 404) {
    again();
    return;
  }
  const found = response?.ok ? await response.json().catch(() => null) : null;
  if (found?.next) {
    window.location.replace(found.next);
    return;
  }
  if (found && found.state !== box.dataset.state) {
    again();
    return;
  }
  if (found) show(found);
  // Hosts limit requests: after a while, and where no answer comes, the next look comes later.
  looks += 1;
  if (looks > BRISK || !found) pause = Math.min(SLOWEST, pause * 1.2);
  before = found?.html ?? before;
  setTimeout(look, pause);
}

function show(found) {
  if (found.html !== before) part.innerHTML = found.html;
  if (Date.now() - spokenAt > SPOKEN_EVERY) {
    said.textContent = found.said;
    spokenAt = Date.now();
  }
}

const here = new URL(window.location.href);
const live = here.searchParams.get("live") === "1";
here.searchParams.set("live", "1");
if (live) {
  // The address stays the one people keep and send to each other.
  window.history.replaceState(null, "", box.dataset.again);
  setTimeout(look, FIRST);
} else {
  window.location.replace(here);
}
