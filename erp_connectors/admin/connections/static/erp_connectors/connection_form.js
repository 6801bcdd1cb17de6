'use strict';
// Shows only the fields that apply to the chosen mode, connector type and other choices, and the preview below the form.
document.addEventListener('DOMContentLoaded', () => {
  const fieldsets = (page) => [...page.querySelectorAll('#erpconnection_form fieldset.module')];

  function showWhatApplies() {
    const mode = document.querySelector('[data-chooses-modes]');
    if (!mode) return;
    const ofMode = (field) => !field.dataset.modes || field.dataset.modes.split(' ').includes(mode.value);
    const ofChoice = (field) => {
      const choice = field.dataset.appliesIf && document.getElementById(`id_${field.dataset.appliesIf}`);
      return !choice || field.dataset.appliesValues.split(' ').includes(choice.value);
    };
    for (const field of document.querySelectorAll('[data-modes], [data-applies-if]')) {
      const row = field.closest('.form-row');
      if (row) row.hidden = !(ofMode(field) && ofChoice(field));
    }
    for (const group of document.querySelectorAll('fieldset.module')) {
      const rows = [...group.querySelectorAll('.form-row')];
      group.hidden = rows.length > 0 && rows.every((row) => row.hidden);
    }
  }
  // Any field may decide if another one applies.
  document.addEventListener('change', showWhatApplies);
  showWhatApplies();

  // Another connector type has other fields. What was entered stays, also if the first type is chosen again.
  const entered = new Map();
  const inputs = () => document.querySelectorAll('#erpconnection_form fieldset.module [name]');

  function remember() {
    for (const input of inputs()) {
      entered.set(input.name, input.type === 'checkbox' ? input.checked : input.value);
    }
  }
  function restore() {
    for (const input of inputs()) {
      if (!entered.has(input.name)) continue;
      if (input.type === 'checkbox') input.checked = entered.get(input.name);
      else input.value = entered.get(input.name);
    }
  }
  async function showFieldsOf(type) {
    const address = `?${new URLSearchParams({ connector_type: type.value })}`;
    remember();
    try {
      const answer = await fetch(address);
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      const [first, ...old] = fieldsets(document);
      const [, ...fresh] = fieldsets(page);
      for (const fieldset of old) fieldset.remove();
      first.after(...fresh.map((fieldset) => document.importNode(fieldset, true)));
      restore();
      showWhatApplies();
    } catch {
      location.search = address;
    }
  }
  const type = document.querySelector('select[data-chooses-type]');
  type?.addEventListener('change', () => showFieldsOf(type));

  // Without this script the preview is a page of its own.
  const preview = document.querySelector('input[name=_preview]');
  preview?.addEventListener('click', async (event) => {
    event.preventDefault();
    const place = document.getElementById('preview-result');
    const body = new FormData(preview.form);
    body.set('_preview', '1');
    preview.disabled = true;
    try {
      const answer = await fetch(location.href, { method: 'POST', body });
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      place.replaceChildren(...page.getElementById('preview-result').childNodes);
    } catch {
      place.textContent = preview.dataset.failed;
    }
    preview.disabled = false;
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
