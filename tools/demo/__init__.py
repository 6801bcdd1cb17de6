"""A small world to try everything in: its own database and folders, an SFTP server, workers, a simulated ERP."""
