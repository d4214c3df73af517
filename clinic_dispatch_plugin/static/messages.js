// The lists of messages: choosing rows, correcting an address in its row, numbers that count live.
import { chooseRows } from "./messages-choose.js";
import { correctInPlace } from "./messages-correct.js";
import { countLive } from "./messages-live.js";

const announce = (text) => {
  const place = document.querySelector("[data-announce]");
  if (place) place.textContent = text;
};

chooseRows(document);
correctInPlace(document, announce);
countLive(document.getElementById("cd-counts"));
