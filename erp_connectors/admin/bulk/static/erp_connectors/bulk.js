'use strict';
// Shows a run's progress anew each second until it is finished; without this script a reload does.
document.addEventListener('DOMContentLoaded', () => {
  const place = document.getElementById('bulk-run');
  const running = () => place.querySelector('[data-running]') !== null;

  async function look() {
    try {
      const answer = await fetch(window.location.href, { headers: { 'X-Requested-Part': 'run' } });
      if (answer.ok && !answer.redirected && !place.querySelector('a:focus')) place.innerHTML = await answer.text();
    } catch {
      // The next look may go better.
    }
    if (running()) setTimeout(look, 1000);
  }

  if (running()) setTimeout(look, 1000);
});
