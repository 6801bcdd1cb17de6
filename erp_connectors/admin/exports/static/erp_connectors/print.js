"use strict";
// Without scripts the browser's own menu prints; with them there is a button.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
