'use strict';
// Shows only the fields that apply to the chosen mode and to other choices, and another connector's fields when that is chosen.
document.addEventListener('DOMContentLoaded', () => {
  const mode = document.querySelector('[data-chooses-modes]');
  if (mode) {
    const ofMode = (field) => !field.dataset.modes || field.dataset.modes.split(' ').includes(mode.value);
    const ofChoice = (field) => {
      const choice = field.dataset.appliesIf && document.getElementById(`id_${field.dataset.appliesIf}`);
      return !choice || field.dataset.appliesValues.split(' ').includes(choice.value);
    };
    const showWhatApplies = () => {
      for (const field of document.querySelectorAll('[data-modes], [data-applies-if]')) {
        const row = field.closest('.form-row');
        if (row) row.hidden = !(ofMode(field) && ofChoice(field));
      }
      for (const group of document.querySelectorAll('fieldset.module')) {
        const rows = [...group.querySelectorAll('.form-row')];
        group.hidden = rows.length > 0 && rows.every((row) => row.hidden);
      }
    };
    mode.form.addEventListener('change', showWhatApplies);
    showWhatApplies();
  }

  const type = document.querySelector('select[data-chooses-type]');
  type?.addEventListener('change', () => {
    location.search = new URLSearchParams({ connector_type: type.value });
  });

  // A test that fills in live, on its own page; without this script the server runs it and then shows the page.
  for (const form of document.querySelectorAll('form[data-opens]')) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      sessionStorage.setItem('run-test', form.dataset.opens);
      location.assign(form.dataset.opens);
    });
  }
});
