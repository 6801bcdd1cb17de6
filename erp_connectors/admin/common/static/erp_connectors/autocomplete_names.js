"use strict";
// The field that select2 puts in place of a select has no name of its own, and an empty one none at all.
// jQuery keeps the order: select2 is set up by a handler that was registered before this one.
django.jQuery(() => {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) {
    const label = document.querySelector(`label[for="${select.id}"]`);
    const shown = document.getElementById(`select2-${select.id}-container`);
    if (label && shown) shown.setAttribute("aria-label", label.textContent.trim());
  }
});
