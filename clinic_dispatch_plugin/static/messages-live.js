// Numbers of a mailing that still runs: asked for rarely, more rarely while nothing changes, not at all in a hidden tab.
const FIRST = 2000;
const LONGEST = 30000;

export function countLive(place) {
  if (!place || !place.dataset.live) return;
  let pause = FIRST;
  let last = "";
  let failed = null;
  const later = () => setTimeout(ask, pause);
  async function ask() {
    if (document.hidden) return document.addEventListener("visibilitychange", ask, { once: true });
    let said;
    try {
      const answer = await fetch(place.dataset.url, { credentials: "same-origin", headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      said = await answer.json();
    } catch {
      pause = Math.min(LONGEST, pause * 2);
      return later();
    }
    const now = JSON.stringify([said.state, said.counts]);
    pause = now === last ? Math.min(LONGEST, pause * 1.5) : FIRST;
    if (now !== last) place.innerHTML = said.html;
    last = now;
    const news = said.state !== place.dataset.state || (failed !== null && said.failed !== failed);
    failed ??= said.failed;
    if (news) {
      if (untouched()) return location.reload();
      const fresh = document.querySelector("[data-fresh]");
      if (fresh) fresh.hidden = false;
    }
    if (said.live) later();
  }
  later();
}

// Nobody has ticked, opened, typed or scrolled: the page may show itself anew.
function untouched() {
  const chosen = document.querySelector('input[name="ids"]:checked, .cd details[open]');
  const typing = document.activeElement && document.activeElement !== document.body;
  return !chosen && !typing && window.scrollY < 40 && !location.search;
}
