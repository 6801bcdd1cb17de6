"""One action for many orders: chosen, looked at, confirmed, carried out in the background, told row by row."""
