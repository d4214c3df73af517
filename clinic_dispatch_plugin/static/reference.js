// The pages of the reference work without this script; with it the list filters while somebody types, an entry is edited
// beside it, and languages stand side by side as tabs.
import { dressFields } from "./reference-fields.js";
import { keepUnsaved } from "./reference-unsaved.js";
import { startList } from "./reference-list.js";
import { startKeys } from "./reference-keys.js";

dressFields(document);
const unsaved = keepUnsaved(document);
const list = startList(document, unsaved);
startKeys(document, list);
document.querySelector("#cd-faults")?.focus();
