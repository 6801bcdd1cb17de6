'use strict';
// Shows the overview anew every so often: not while nobody looks, and without taking the focus or what is unfolded away.
document.addEventListener('DOMContentLoaded', () => {
  const overview = document.getElementById('overview');
  const problem = document.getElementById('overview-error');
  const said = document.getElementById('overview-said');
  const every = Number(overview.dataset.every) * 1000;
  let timer = 0;
  let shownAt = Date.now();

  const keyed = (key) => overview.querySelector(`[data-key="${CSS.escape(key)}"]`);
  const heading = () => overview.querySelector('#needs-heading')?.textContent.trim() ?? '';

  function show(html) {
    const focused = overview.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const unfolded = [...overview.querySelectorAll('details[open]')].map((one) => one.dataset.key);
    const before = heading();
    overview.innerHTML = html;
    for (const key of unfolded) keyed(key)?.setAttribute('open', '');
    if (focused) keyed(focused)?.focus({ preventScroll: true });
    if (heading() !== before) said.textContent = heading();
  }

  function tell(text) {
    overview.classList.toggle('stale', Boolean(text));
    if (problem.textContent !== text) problem.textContent = text;
    problem.hidden = !text;
  }

  async function refresh() {
    try {
      const answer = await fetch(overview.dataset.url, { headers: { Accept: 'text/html' } });
      if (answer.redirected) {
        tell(overview.dataset.loggedOut);
        return;
      }
      if (!answer.ok) throw new Error(answer.status);
      const html = await answer.text();
      // Somebody is about to press something: what they aim at must not move away.
      if (!overview.querySelector('a:active, button:active')) show(html);
      shownAt = Date.now();
      tell('');
    } catch {
      tell(overview.dataset.stale);
    }
    plan();
  }

  function plan() {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(refresh, Math.max(every - (Date.now() - shownAt), 1000));
  }

  document.addEventListener('visibilitychange', plan);
  plan();
});
