'use strict';
// Buttons that copy a text; without this script they stay hidden, and the text can be selected by hand.
document.addEventListener('click', async (event) => {
  const button = event.target.closest('[data-copy]');
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const text = source.value ?? source.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS browsers offer no clipboard: select the text, so that a key press copies it.
    const range = document.createRange();
    if (source.select) source.select();
    else {
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
    document.execCommand('copy');
  }
  button.classList.add('copied');
  setTimeout(() => button.classList.remove('copied'), 2000);
});

function showCopyButtons() {
  for (const button of document.querySelectorAll('[data-copy]')) button.hidden = false;
}
document.addEventListener('DOMContentLoaded', showCopyButtons);
document.addEventListener('outcome-shown', showCopyButtons);
