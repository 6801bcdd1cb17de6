'use strict';
// Runs the connection test and fills in each step as the server tells it, one JSON line a step.
document.addEventListener('DOMContentLoaded', () => {
  const form = document.getElementById('test-form');
  const steps = document.getElementById('test-steps');
  const outcome = document.getElementById('test-outcome');
  const problem = document.getElementById('test-error');
  const running = document.getElementById('test-running');
  const button = form.querySelector('[type=submit]');

  function show({ place, html }) {
    if (place === 'outcome') {
      outcome.innerHTML = html;
      document.dispatchEvent(new Event('outcome-shown'));
      return;
    }
    const old = steps.querySelector(`[data-place="${CSS.escape(place)}"]`);
    if (old) old.outerHTML = html;
    else steps.insertAdjacentHTML('beforeend', html);
    markNext();
  }

  function markNext() {
    const failed = steps.querySelector('.step-failed');
    for (const step of steps.querySelectorAll('.step-waiting')) step.classList.remove('step-running');
    if (!failed) steps.querySelector('.step-waiting')?.classList.add('step-running');
  }

  async function readLines(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      for (const line of lines) show(JSON.parse(line));
    }
  }

  async function run() {
    button.disabled = true;
    problem.hidden = true;
    running.textContent = form.dataset.running;
    steps.replaceChildren();
    outcome.replaceChildren();
    try {
      const answer = await fetch(form.action, {
        method: 'POST',
        body: new FormData(form),
        headers: { Accept: 'application/x-ndjson' },
      });
      if (!answer.ok || answer.redirected) throw new Error(answer.status);
      await readLines(answer.body);
      if (!outcome.firstChild) throw new Error('it ended too early');
    } catch {
      problem.textContent = form.dataset.failed;
      problem.hidden = false;
    }
    running.textContent = '';
    button.disabled = false;
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    run();
  });
  const asked = sessionStorage.getItem('run-test') === location.pathname;
  sessionStorage.removeItem('run-test');
  if (asked || 'runNow' in form.dataset) run();
});
