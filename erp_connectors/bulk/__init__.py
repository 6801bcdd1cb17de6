"""One action for many orders: select, preview, confirm, execute in the background, report row by row."""
