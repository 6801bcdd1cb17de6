"""Our delivery and acks beside other programs: the same files, the same server, the same run, taking turns."""
