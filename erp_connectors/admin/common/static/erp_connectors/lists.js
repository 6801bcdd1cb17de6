// "/" puts the cursor into the search box, wherever nothing is being typed.
document.addEventListener("keydown", (event) => {
  const box = document.getElementById("searchbar");
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing || !box) return;
  event.preventDefault();
  box.focus();
  box.select();
});
