"""A program that reads one untrusted workbook in a process with limits. It imports neither Django nor other modules."""
