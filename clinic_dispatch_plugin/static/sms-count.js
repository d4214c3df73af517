// Counts text messages while one types, as they are billed; the server counts alike and has the last word.

/** The basic alphabet: one septet each. The escape is no character. */
const BASIC = new Set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
  + "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà");
/** Behind an escape: two septets each. */
const EXTENSION = new Set("\f^{}\\[~]|€");
const BLANK_END = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/;
const ODD_SHOWN = 6;

/** What a reader takes for one sign; a browser that cannot tell parts by code points. */
const segmenter = globalThis.Intl?.Segmenter ? new Intl.Segmenter("und", { granularity: "grapheme" }) : null;

function clusters(text) {
  return segmenter ? Array.from(segmenter.segment(text), (each) => each.segment) : [...text];
}

function septets(character) {
  if (BASIC.has(character)) return 1;
  return EXTENSION.has(character) ? 2 : 0;
}

/** Fill part after part; what does not fit whole goes into the next. */
function fill(costs, units, limit, several) {
  if (units <= limit) return { parts: 1, left: limit - units };
  let parts = 1;
  let left = several;
  for (const cost of costs) {
    if (cost > left) {
      parts += 1;
      left = several;
    }
    left -= cost;
  }
  return { parts, left };
}

/** Characters, units, parts and alphabet of a text. */
export function measure(typed) {
  const text = typed.replaceAll("\r\n", "\n").replaceAll("\r", "\n").normalize("NFC").replace(BLANK_END, "");
  const characters = [...text];
  const odd = [...new Set(characters.filter((each) => !septets(each)))];
  const sum = (costs) => costs.reduce((total, cost) => total + cost, 0);
  if (!odd.length) {
    const costs = characters.map(septets);
    const units = sum(costs);
    return { encoding: "GSM-7", characters: characters.length, units, odd, ...fill(costs, units, 160, 153) };
  }
  const costs = clusters(text).flatMap((each) => (each.length > 67 ? [...each].map((one) => one.length) : [each.length]));
  const units = sum(costs);
  return { encoding: "UCS-2", characters: characters.length, units, odd, ...fill(costs, units, 70, 67) };
}

/** Something of usual length for each value; what is conditional counts in full. */
export function withValues(text) {
  return text.replace(/\{%.*?%\}/gs, "").replace(/\{\{.*?\}\}/gs, "xxxxxxxx");
}

function filled(words, found) {
  const odd = found.odd.slice(0, ODD_SHOWN).join(" ") + (found.odd.length > ODD_SHOWN ? " …" : "");
  return words.replace(/\{(\w+)\}/g, (_, name) => (name === "odd" ? odd : found[name]));
}

/** A line below a text's field tells its length; a part more or less is told to whoever cannot see it. */
function count(line) {
  const field = document.getElementById(line.dataset.count);
  // A field left empty stands for the first one's text.
  const first = document.getElementById(line.dataset.first);
  const shown = line.querySelector("[data-shown]");
  const values = line.querySelector("[data-values]");
  const said = line.querySelector("[data-said]");
  let before = 0;
  function show() {
    const typed = first && !field.value.trim() ? first.value : field.value;
    const text = withValues(typed);
    const found = measure(text);
    values.hidden = text === typed;
    shown.textContent = filled(found.odd.length ? line.dataset.odd : line.dataset.plain, found);
    if (before && before !== found.parts) said.textContent = filled(line.dataset.parts, found);
    before = found.parts;
  }
  field.addEventListener("input", show);
  first?.addEventListener("input", show);
  show();
}

globalThis.document?.querySelectorAll("[data-count]").forEach(count);
